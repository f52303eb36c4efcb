//! The Lambda function `sweep`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run_events(sweep::handle)
}
