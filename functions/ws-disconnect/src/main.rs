//! The Lambda function `ws-disconnect`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run_events(ws_disconnect::handle)
}
