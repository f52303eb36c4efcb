//! Encrypts the content of a notification for one browser (RFC 8291, with the coding `aes128gcm` of RFC 8188).
//!
//! Invariant: each message has a key pair and a salt of its own, so no key ever encrypts two messages.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use domain::id;
use domain::web_push::{AUTH, POINT};

/// The record size in the header. The content is one record, which is shorter.
const RECORD: u32 = 4_096;
/// Marks the end of the last record (RFC 8188, section 2).
const LAST_RECORD: u8 = 2;

/// The number of bytes to derive.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const N: usize>(key: &Prk, info: &[&[u8]]) -> Result<[u8; N], Unspecified> {
    let mut derived = [0; N];
    key.expand(info, Length(N))?.fill(&mut derived)?;
    Ok(derived)
}

/// Encrypts a text for the browser with this public key and authentication secret.
///
/// # Errors
/// If the key is no point of the curve.
pub(crate) fn encrypt(
    text: &[u8],
    browser: &[u8; POINT],
    secret: &[u8; AUTH],
) -> Result<Vec<u8>, Unspecified> {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&id::random().to_be_bytes());
    salt[8..].copy_from_slice(&id::random().to_be_bytes());
    encrypt_with(text, browser, secret, &PrivateKey::generate(&ECDH_P256)?, salt)
}

fn encrypt_with(
    text: &[u8],
    browser: &[u8; POINT],
    secret: &[u8; AUTH],
    own: &PrivateKey,
    salt: [u8; 16],
) -> Result<Vec<u8>, Unspecified> {
    let public = own.compute_public_key()?;
    let browsers = UnparsedPublicKey::new(&ECDH_P256, browser);
    let shared = agree(own, browsers, Unspecified, |shared| {
        let key = Salt::new(HKDF_SHA256, secret).extract(shared);
        derive::<32>(&key, &[b"WebPush: info\0", browser, public.as_ref()])
    })?;
    let key = Salt::new(HKDF_SHA256, &salt).extract(&shared);
    let content_key = derive::<16>(&key, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce = Nonce::assume_unique_for_key(derive(&key, &[b"Content-Encoding: nonce\0"])?);
    let mut sealed = [text, &[LAST_RECORD]].concat();
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content_key)?).seal_in_place_append_tag(
        nonce,
        Aad::empty(),
        &mut sealed,
    )?;
    let length = u8::try_from(public.as_ref().len()).map_err(|_| Unspecified)?;
    Ok([&salt[..], &RECORD.to_be_bytes(), &[length], public.as_ref(), &sealed].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    /// RFC 8291, appendix A.
    #[test]
    fn the_example_of_the_standard() {
        let own = bytes::<32>("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let own = PrivateKey::from_private_key(&ECDH_P256, &own).unwrap();
        let browser =
            bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let (secret, salt) = (bytes("BTBZMqHH6r4Tts7J_aSIgg"), bytes("DGv6ra1nlYgDCS1FRnbzlw"));
        let text = b"When I grow up, I want to be a watermelon";
        let encrypted = encrypt_with(text, &browser, &secret, &own, salt).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(encrypted),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz\
             AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn no_two_messages_are_encrypted_alike() {
        let browser = PrivateKey::generate(&ECDH_P256).unwrap().compute_public_key().unwrap();
        let browser: [u8; POINT] = browser.as_ref().try_into().unwrap();
        let [one, other] = [(); 2].map(|()| encrypt(b"x", &browser, &[1; 16]).unwrap());
        assert_ne!(one[..16], other[..16], "the salts");
        assert_ne!(one[21..86], other[21..86], "the keys");
        assert!(encrypt(b"x", &[4; POINT], &[1; 16]).is_err(), "this is no point of the curve");
    }
}
