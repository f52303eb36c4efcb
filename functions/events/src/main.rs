//! The Lambda function `events`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(events::routes())
}
