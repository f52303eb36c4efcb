//! The Lambda function `ws-message`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run_events(ws_message::handle)
}
