//! The Lambda function `ws-message`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run_events(ws_message::handle)
}
