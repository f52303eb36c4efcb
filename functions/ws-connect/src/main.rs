//! The Lambda function `ws-connect`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run_events(ws_connect::handle)
}
