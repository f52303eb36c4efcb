//! `GET /_local/metrics`: the metrics that CloudWatch shows in AWS, in Prometheus's format.
//!
//! Invariant: a request from another machine gets the same 404 as an unknown route. So does a web page on this machine
//! whose own host name resolves to our address (DNS rebinding), because its `Host` header has that name.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::error::Error;
use edge::app::App;
use edge::problem::Problem;
use observe::metrics::PROMETHEUS;

/// Returns the metrics of this process.
pub(crate) async fn show(State(app): State<App>, request: Request) -> Response {
    if is_local(&request) {
        ([(header::CONTENT_TYPE, PROMETHEUS)], app.observer.prometheus()).into_response()
    } else {
        Problem::from(Error::NotFound("There is no such route.")).into_response()
    }
}

fn is_local(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback())
        && host.is_none_or(is_loopback)
}

/// Whether a `Host` header names this machine, with or without a port.
pub(crate) fn is_loopback(host: &str) -> bool {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_are_this_machine() {
        for host in ["localhost", "LocalHost:3000", "127.0.0.1", "127.0.0.1:3000", "[::1]", "[::1]:3000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "example.com", "localhost.example.com", "127.0.0.1.example.com:80", "192.0.2.1", ":80"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
