//! Makes the client stubs of the fleet link, for edges that are played; the messages are conf's.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const FOLDER: &str = "../conf/src/link";
    println!("cargo:rerun-if-changed={FOLDER}/link.proto");
    let descriptors = protox::compile(["link.proto"], [FOLDER])?;
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".latencify.link.v1", "::latencify_conf::link::message")
        .compile_fds(descriptors)?;
    Ok(())
}
