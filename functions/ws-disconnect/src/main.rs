//! The Lambda function `ws-disconnect`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run_events(ws_disconnect::handle)
}
