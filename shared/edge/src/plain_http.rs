//! Posts to a stand-in for a push service on this machine, without TLS.
//!
//! Invariant: header names are written as the standards write them. The client for real services writes them in small
//! letters, as HTTP/2 does, but stand-ins may compare them letter by letter.

use std::fmt::Write as _;

use domain::error::Source;
use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Posts a body, and returns the status of the response, of which it reads nothing else.
///
/// # Errors
/// If nothing listens there, or the response is not HTTP.
pub(crate) async fn post(url: &Uri, headers: &[(&str, String)], body: &[u8]) -> Result<u16, Source> {
    let authority = url.authority().ok_or("the URL has no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    write!(head, "Content-Length: {}\r\n\r\n", body.len())?;
    let mut stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    let mut line = [0; "HTTP/1.1 201".len()];
    stream.read_exact(&mut line).await?;
    let line = std::str::from_utf8(&line)?;
    Ok(line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).ok_or("not HTTP")?.parse()?)
}
