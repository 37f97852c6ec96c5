//! What runs in production has every safeguard, as a constant.

use std::process::Command;

#[test]
fn no_service_is_built_with_switches_on_its_safeguards() {
    let arguments = ["tree", "--offline", "-p", "hub", "--all-features", "-e", "features,normal", "-i", "domain"];
    let output = Command::new(env!("CARGO")).args(arguments).output().unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.starts_with("domain "), "{tree}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!tree.contains("mutations"), "{tree}");
}
