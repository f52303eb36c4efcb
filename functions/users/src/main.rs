//! The Lambda function `users`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(users::routes())
}
