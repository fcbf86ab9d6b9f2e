//! Makes the server's stubs of the fleet link, without protoc; the messages are `conf`'s.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "../conf/src/link/link.proto";
    println!("cargo:rerun-if-changed={PROTO}");
    let descriptors = protox::compile([PROTO], ["../conf/src/link"])?;
    tonic_prost_build::configure()
        // Only the tests of the fleet play the edge.
        .build_client(true)
        .client_mod_attribute("latencify.link.v1", "#[cfg(test)]")
        .extern_path(".latencify.link.v1", "::latencify_conf::link::message")
        .compile_fds(descriptors)?;
    Ok(())
}
