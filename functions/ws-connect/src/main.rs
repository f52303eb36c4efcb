//! The Lambda function `ws-connect`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run_events(ws_connect::handle)
}
