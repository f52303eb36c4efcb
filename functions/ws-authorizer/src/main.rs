//! The Lambda function `ws-authorizer`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run_events(ws_authorizer::handle)
}
