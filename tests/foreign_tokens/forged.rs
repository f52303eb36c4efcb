//! Forged and tampered tokens.

use super::*;

/// Creates a world that trusts one key of each kind.
async fn world() -> (World, [Signer; 3]) {
    let signers = Signer::each();
    let world = trusting(&Issuer::of(&signers.each_ref()).await).await;
    (world, signers)
}

/// Returns an HS256 token that is signed with any secret and names a key id.
fn hmac(secret: &[u8], kid: &str) -> String {
    use aws_lc_rs::hmac;
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid}).to_string();
    let signed = format!("{}.{}", encoded(header), encoded(valid().to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", encoded(tag))
}

#[tokio::test]
async fn a_public_key_is_not_accepted_as_a_secret() {
    let (world, signers) = world().await;
    for signer in &signers {
        let jwk = signer.jwk();
        let published = ["n", "x", "y"].into_iter().filter_map(|name| jwk[name].as_str());
        for text in published.chain([jwk.to_string().as_str()]) {
            assert_refused(&world, &hmac(text.as_bytes(), &signer.kid)).await;
            let raw = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
            assert_refused(&world, &hmac(&raw.unwrap_or_default(), &signer.kid)).await;
        }
    }
    let nothing = Issuer::of(&[]).await;
    nothing.answers(200, &json!({"keys": [{"kty": "oct", "k": encoded(SECRET), "kid": "oct"}]}).to_string());
    assert_refused(&trusting(&nothing).await, &hmac(SECRET.as_bytes(), "oct")).await;
}

#[tokio::test]
async fn the_key_determines_the_algorithm() {
    let (world, signers) = world().await;
    for signer in &signers {
        for algorithm in [
            "none", "None", "HS256", "HS512", "RS256", "RS384", "PS256", "ES256", "ES384", "ES256K", "EdDSA",
            "",
        ] {
            if algorithm != signer.algorithm() {
                assert_refused(&world, &signer.with_header(&json!({"alg": algorithm}), &valid())).await;
            }
        }
        for header in [json!({"alg": null}), json!({"alg": [signer.algorithm()]}), json!({"alg": 1})] {
            assert_refused(&world, &signer.with_header(&header, &valid())).await;
        }
        // The key id of another signer.
        for other in &signers {
            if other.kid != signer.kid {
                assert_refused(&world, &signer.with_header(&json!({"kid": other.kid}), &valid())).await;
            }
        }
    }
    for stranger in [Signer::other_rsa("rsa"), Signer::ec("ec"), Signer::ed("ed")] {
        assert_refused(&world, &stranger.token(&valid())).await;
        assert_refused(&world, &stranger.with_header(&json!({"kid": null}), &valid())).await;
    }
}

#[tokio::test]
async fn keys_for_another_purpose_are_not_accepted() {
    let signer = Signer::ec("one");
    let issuer = Issuer::of(&[&signer]).await;
    for (name, value) in
        [("use", "enc"), ("alg", "ES384"), ("alg", "ECDH-ES"), ("crv", "P-384"), ("kty", "OKP")]
    {
        let mut jwk = signer.jwk();
        jwk[name] = value.into();
        issuer.answers(200, &json!({ "keys": [jwk] }).to_string());
        assert_refused(&trusting(&issuer).await, &signer.token(&valid())).await;
    }
    issuer.publish(&[&signer]);
    assert_accepted(&trusting(&issuer).await, &signer.token(&valid())).await;
}

#[tokio::test]
async fn keys_and_critical_extensions_in_headers_are_refused() {
    let (world, signers) = world().await;
    for (signer, stranger) in
        signers.iter().zip([Signer::other_rsa("mine"), Signer::ec("mine"), Signer::ed("mine")])
    {
        for header in [
            json!({"jwk": stranger.jwk()}),
            json!({"jwk": stranger.jwk(), "kid": signer.kid}),
            json!({"jwk": stranger.jwk(), "kid": null}),
            json!({"jku": "http://127.0.0.1:9/keys", "kid": null}),
        ] {
            assert_refused(&world, &stranger.with_header(&header, &valid())).await;
        }
        for header in [
            json!({"crit": ["exp"], "exp": 1}),
            json!({"crit": []}),
            json!({"crit": ["b64"], "b64": false}),
            json!({"crit": "x"}),
        ] {
            assert_refused(&world, &signer.with_header(&header, &valid())).await;
        }
        // Unknown members that are not critical are ignored (RFC 7515, section 4).
        assert_accepted(&world, &signer.with_header(&json!({"x": {"y": 1}, "typ": "at+jwt"}), &valid()))
            .await;
    }
}

#[tokio::test]
async fn tampered_tokens_are_refused() {
    let (world, signers) = world().await;
    for signer in &signers {
        let good = signer.token(&valid());
        assert_accepted(&world, &good).await;
        let parts: Vec<&str> = good.split('.').collect();
        let [header, payload, signature] = parts[..] else { panic!("{good}") };
        let raw = signer.sign(format!("{header}.{payload}").as_bytes());
        let changed = |at: usize| {
            let mut changed = raw.clone();
            changed[at] ^= 1;
            encoded(changed)
        };
        let mallory = encoded(claims(&json!({"sub": "mallory"})).to_string());
        let half = raw.len() / 2;
        let signatures = [
            String::new(),
            "AA".to_owned(),
            changed(0),
            changed(half),
            changed(raw.len() - 1),
            encoded(&raw[..half]),
            encoded(&raw[1..]),
            encoded([&raw[..], &[0]].concat()),
            encoded([&[0], &raw[..]].concat()),
            encoded(vec![0; raw.len()]),
            encoded(vec![0xff; raw.len()]),
            encoded([&vec![0; half][..], &raw[half..]].concat()),
            encoded([&raw[..half], &vec![0; raw.len() - half][..]].concat()),
            format!("{signature}="),
            format!("{signature}=="),
            format!("{signature}A"),
            format!(" {signature}"),
            format!("{}\t{}", &signature[..9], &signature[9..]),
            format!("{signature}!"),
        ];
        let mut bad: Vec<String> =
            signatures.iter().map(|signature| format!("{header}.{payload}.{signature}")).collect();
        bad.extend([
            format!("{header}.{mallory}.{signature}"),
            format!("{header}..{signature}"),
            format!(".{payload}.{signature}"),
            format!("{header}.{payload}"),
            format!("{header}.{payload}.{signature}."),
            format!("{header}.{payload}.{signature}.{signature}"),
            format!("{header}.{payload}.{payload}.{signature}"),
            format!("{header}=.{payload}.{signature}"),
            format!("{header}.{payload}=.{signature}"),
            format!("{payload}.{header}.{signature}"),
            format!("{} {}.{payload}.{signature}", &header[..4], &header[4..]),
        ]);
        for token in &bad {
            assert_refused(&world, token).await;
        }
    }
}

/// The last character of base64url may have unused bits. Only one spelling of a token is accepted.
#[tokio::test]
async fn a_token_has_one_spelling() {
    let (world, signers) = world().await;
    let good = signers[1].token(&valid());
    let (rest, last) = good.split_at(good.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/";
    for other in alphabet.chars().filter(|other| other.to_string() != last) {
        assert_refused(&world, &format!("{rest}{other}")).await;
    }
}

#[tokio::test]
async fn an_ecdsa_signature_is_two_numbers_of_fixed_length() {
    let (world, [_, signer, _]) = world().await;
    let token = signer.token(&valid());
    let (signed, _) = token.rsplit_once('.').unwrap();
    let raw = signer.sign(signed.as_bytes());
    // DER (RFC 3279, section 2.2.3), as other protocols use it.
    let number = |half: &[u8]| {
        let sign: &[u8] = if half[0] < 0x80 { &[] } else { &[0] };
        let length = u8::try_from(half.len() + sign.len()).unwrap();
        [&[2, length][..], sign, half].concat()
    };
    let numbers = [number(&raw[..32]), number(&raw[32..])].concat();
    let der = [&[0x30, u8::try_from(numbers.len()).unwrap()][..], &numbers[..]].concat();
    assert_refused(&world, &format!("{signed}.{}", encoded(der))).await;
    // The two halves swapped, and each half with one more byte.
    assert_refused(&world, &format!("{signed}.{}", encoded([&raw[32..], &raw[..32]].concat()))).await;
    let wide = [&[0][..], &raw[..32], &[0], &raw[32..]].concat();
    assert_refused(&world, &format!("{signed}.{}", encoded(wide))).await;
    assert_accepted(&world, &format!("{signed}.{}", encoded(raw))).await;
}

#[tokio::test]
async fn ambiguous_tokens_are_refused() {
    let (world, signers) = world().await;
    for signer in &signers {
        let (kid, algorithm, exp) = (&signer.kid, signer.algorithm(), now() + 600);
        let header = format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#);
        let payload = format!(r#"{{"sub":"alice","exp":{exp}}}"#);
        assert_accepted(&world, &signer.raw(&header, &payload)).await;
        assert_accepted(&world, &signer.raw(&format!(" {header}\r\n"), &format!("\t{payload} "))).await;
        for bad in [
            format!(r#"{{"alg":"none","alg":"{algorithm}","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"{algorithm}","alg":"{algorithm}","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"{algorithm}","kid":"{kid}","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"{algorithm}","kid":["{kid}"]}}"#),
            format!(r#"["{algorithm}","{kid}"]"#),
            format!("{header}{header}"),
            format!("\u{feff}{header}"),
            "{}".to_owned(),
            "null".to_owned(),
        ] {
            assert_refused(&world, &signer.raw(&bad, &payload)).await;
        }
        for bad in [
            format!(r#"{{"sub":"alice","sub":"mallory","exp":{exp}}}"#),
            format!(r#"{{"sub":"alice","exp":{exp},"exp":{exp}}}"#),
            format!(r#"["alice",{exp},null,null,null,null,null]"#),
            format!("{payload}{payload}"),
            format!("{payload}x"),
            String::new(),
        ] {
            assert_refused(&world, &signer.raw(&header, &bad)).await;
        }
    }
}
