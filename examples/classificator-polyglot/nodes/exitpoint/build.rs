//! Generates the messages from the version's .proto files, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["../../public_input.proto", "../../internal_nodes.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    // Names are what messages are recognised by on the bus.
    prost_build::Config::new().enable_type_names().compile_fds(protox::compile(files, ["../.."])?)?;
    Ok(())
}
