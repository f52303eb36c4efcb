//! The Lambda function `rooms`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(rooms::routes())
}
