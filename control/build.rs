//! Makes the server's stubs of the fleet link, without protoc; the messages are `conf`'s.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "../conf/src/link/link.proto";
    println!("cargo:rerun-if-changed={PROTO}");
    let descriptors = protox::compile([PROTO], ["../conf/src/link"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .bytes(".")
        .extern_path(".latencify.link.v1", "::latencify_conf::link::message")
        .compile_fds(descriptors)?;
    Ok(())
}
