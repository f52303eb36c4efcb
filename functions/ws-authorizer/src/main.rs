//! The Lambda function `ws-authorizer`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run_events(ws_authorizer::handle)
}
