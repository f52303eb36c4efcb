//! The Lambda function `notify`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run_events(notify::handle)
}
