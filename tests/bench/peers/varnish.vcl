# Varnish: memory storage. @WORDS@ are filled in by the run; its command line stands in src/peers/command.rs.
vcl 4.1;

backend origin {
  .host = "@ORIGIN_HOST@";
  .port = "@ORIGIN_PORT@";
  .max_connections = 1000;
}

sub vcl_recv {
  if (req.url ~ "^/pass/") {
    return (pass);
  }
  return (hash);
}

sub vcl_hash {
  hash_data(req.url);
  return (lookup);
}
