//! The Lambda function `fan-out`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run_events(fan_out::handle)
}
