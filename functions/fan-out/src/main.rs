//! The Lambda function `fan-out`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run_events(fan_out::handle)
}
