# Varnish in front of an origin: /etc/varnish/default.vcl. docs/behind-a-cdn.md says why.
vcl 4.1;

backend origin {
    .host = "origin.example";
    .port = "8080";
    .first_byte_timeout = 10s;
    .between_bytes_timeout = 20s;
}

sub vcl_backend_response {
    # By default what is over is served once more while it is renewed: the first who asks for a segment again after its 404,
    # or for a playlist after a pause, would get the old answer.
    if (beresp.status >= 400 || bereq.url ~ "\.(m3u8|mpd)(\?|$)") {
        set beresp.grace = 0s;
    }
}
