//! A small policy, on disk.

use std::fs;
use tempfile::TempDir;

pub const SHOP: &str = r#"version: 1
origins:
  paris: { url: "http://192.0.2.1:9001", place: { latitude: 48.85, longitude: 2.35 } }
  tokyo: { url: "http://192.0.2.2:9001", place: { latitude: 35.68, longitude: 139.69 } }
sites:
  shop:
    hosts: [shop.example, "*.shop.example"]
    routes:
      - name: old
        match: { path: /old }
        redirect: { to: /new, status: 308 }
      - name: france
        match: { path: /france/** }
        access: { allow: [FR], otherwise: deny }
        origins: [paris]
      - name: api
        match: { path: /api/** }
        rate_limits: [{ name: per-client, key: address, rate: 10/s, burst: 5 }]
        origins: { nearest: [paris, tokyo] }
      - name: pages
        match: { methods: [GET, HEAD] }
        origins: { nearest: [paris, tokyo] }
        cache: { default_ttl: 60s, key: { query: { except: ["utm_*"] } } }
"#;

pub fn written(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

pub fn shop() -> TempDir {
    written(&[("shop.yaml", SHOP)])
}

pub fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}
