//! Compiles the fleet link's messages, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=src/link/link.proto");
    let descriptors = protox::compile(["src/link/link.proto"], ["src/link"])?;
    prost_build::Config::new()
        .bytes(["."])
        // What it holds is never printed: see `link::secret`.
        .skip_debug([".latencify.link.v1.Secret"])
        .compile_fds(descriptors)?;
    Ok(())
}
