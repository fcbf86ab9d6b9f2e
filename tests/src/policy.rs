//! Texts of policies that many tests share.

/// One origin `app`, and one site `main` for every host with one route to it; `route` is the rest of that route in
/// YAML's flow style, like `cache: true`. Loopback may purge.
pub fn one_route(origin_url: &str, route: &str) -> String {
    let comma = if route.is_empty() { "" } else { ", " };
    format!(
        r#"
version: 1
edge: {{trusted_hops: [127.0.0.9/32]}}
origins:
  app: {{url: "{origin_url}"}}
sites:
  main:
    hosts: ["*"]
    purge: {{from: [127.0.0.1/32]}}
    routes:
      - {{origins: [app]{comma}{route}}}
"#
    )
}
