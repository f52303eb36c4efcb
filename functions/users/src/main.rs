//! The Lambda function `users`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(users::routes())
}
