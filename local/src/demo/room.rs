//! A lively room in which all write, each in their own languages, and a quiet one.

use std::borrow::Cow;

use super::dice::Dice;
use super::languages::{
    ARABIC, CHINESE, ENGLISH, FRENCH, GERMAN, GREEK, HEBREW, HINDI, JAPANESE, KOREAN, Language, RUSSIAN,
    SPANISH, THAI,
};
use super::scene::{Act, Deed, Place, Scene, say};

/// Joins when two thirds are said: of those, all but the last hundred are hidden from them.
const LATECOMER: &str = "mei";
const HOST: &str = "eleni";

/// Who speaks what.
const VOICES: [(&str, [&Language; 2]); 8] = [
    ("alice", [&GERMAN, &ENGLISH]),
    ("bob", [&ENGLISH, &ENGLISH]),
    ("carol", [&SPANISH, &FRENCH]),
    ("eleni", [&GREEK, &RUSSIAN]),
    ("farah", [&ARABIC, &HEBREW]),
    ("priya", [&HINDI, &ENGLISH]),
    ("yuki", [&JAPANESE, &KOREAN]),
    (LATECOMER, [&CHINESE, &THAI]),
];

/// Who reads for the last time, so many messages before the end.
const LAST_READ: [(usize, &str); 8] = [
    (57, "carol"),
    (31, "farah"),
    (23, "mei"),
    (12, "alice"),
    (4, "priya"),
    (1, "bob"),
    (0, "eleni"),
    (0, "yuki"),
];

/// What is said once, in equal distances.
const ONCE: [(&str, &str); 24] = [
    ("eleni", "Welcome to Café Babel! Καλώς ήρθατε! Write in any language: someone will understand. ☕"),
    ("priya", "👋🏾👋🏽👋🏼👋🏻 सबको नमस्ते!"),
    ("bob", "The whole family is here this weekend 👨‍👩‍👧‍👦 plus 👩🏿‍🦱 and the dog 🐕‍🦺"),
    ("yuki", "♪\u{3000}全角のスペースも、ｶﾅも、①②③も使えます。"),
    ("alice", "Packliste:\n  1. Schlafsack 🏕️\n  2. Taschenlampe\n  3. Käse\n\nFehlt etwas?"),
    ("farah", "عندي موعد الساعة 10:30 في Café Central (الطابق 3)، من يأتي معي؟"),
    ("farah", "יש כאן גם עברית, גם English וגם 123 באותה שורה."),
    ("carol", "¿Lo habéis leído? https://es.wikipedia.org/wiki/Torre_de_Babel"),
    ("bob", "Two ways to write the same thing: é (one character) and e\u{301} (two). Search finds both."),
    ("priya", "मैंने आज क्षत्रिय, ज्ञान और श्रृंखला लिखना सीखा। संयुक्ताक्षर!"),
    ("yuki", "가나다라마바사아자차카타파하 — 이게 다예요, 정말로요."),
    (
        "alice",
        "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz. Das war wirklich ein Gesetz.",
    ),
    ("eleni", "Ёжик в тумане 🦔🌫️ — смотрели?"),
    ("bob", "Flags: 🇳🇬🇩🇪🇪🇸🇬🇷🇱🇧🇮🇱🇹🇭🇨🇳🇮🇳🇯🇵🇰🇷 and 🏴󠁧󠁢󠁷󠁬󠁳󠁿 and 🏳️‍🌈"),
    (
        "carol",
        "«L'été, dit-elle, c'était Noël à l'île d'Oléron.» Où sont passés mes accents ? Les voici : àâçéèêëîïôùûüÿœæ",
    ),
    (
        "alice",
        "fn main() {\n\tlet words = [\"straße\", \"STRASSE\"];\n\tprintln!(\"{}\", words.join(\" = \"));\n}",
    ),
    ("farah", "كشيدة: مرحبـــــــا، وتشكيل: مَرْحَبًا. البحث يجد الاثنين."),
    ("priya", "1️⃣2️⃣3️⃣ … 🧑🏾‍💻 → 🧑🏾‍🍳 → 😴"),
    (
        "bob",
        "Long story. We left at six because the ferry goes at eight, and at half past six the car said no. Not a sound. \
         So I called my uncle, who knows cars, and he told me to hit the battery with a shoe. I laughed. He did not. I \
         hit the battery with a shoe, and it started, and we drove for exactly as long as it takes to believe in \
         miracles. Then we walked. The ferry was late, thank goodness, because the captain's car had not started \
         either. I lent him my shoe.\n\nMoral: be kind to your uncle, and wear good shoes.",
    ),
    ("eleni", "𝕌𝕟𝕚𝕔𝕠𝕕𝕖 has letters like these, too. Please don't."),
    ("yuki", "👨🏻‍🚀🚀🌕 おやすみ 😴💤"),
    ("mei", "刚加入，大家好！สวัสดีค่ะ 🙏🏻 只能看到最近的一百条，够我看一晚上了 😂"),
    ("mei", "𠮷野家和吉野家，第一个字不一样，你们看得出来吗？"),
    ("carol", "https://www.openstreetmap.org/#map=17/36.5297/-6.2924 👈🏽 aquí, a las nueve"),
];

/// The rooms, with so many messages in the lively one.
pub(super) fn all(messages: usize) -> Vec<Scene> {
    let about = "Write in any language. Someone will understand. 🌍";
    let lively = Place::Room(HOST, "Café Babel", about);
    let quiet = Place::Room("bob", "Quiet corner", "For those who would rather read.");
    let silence =
        vec![("bob", say("Shh.")), ("farah", Deed::Join), ("farah", say("🤫")), ("bob", Deed::Read)];
    vec![
        Scene { place: lively, began: 9_300, ended: 1, acts: Talk::of(messages).acts() },
        Scene { place: quiet, began: 8_000, ended: 7_400, acts: silence },
    ]
}

/// The talk in the lively room, as it comes about.
struct Talk {
    /// How many messages it will have.
    messages: usize,
    dice: Dice,
    acts: Vec<Act>,
    said: usize,
    /// How much of [`ONCE`] is said.
    once: usize,
    /// Who is there; the latecomer is the last of [`VOICES`].
    people: usize,
}

impl Talk {
    fn of(messages: usize) -> Self {
        let acts = VOICES.iter().filter(|(who, _)| *who != HOST && *who != LATECOMER);
        let acts = acts.map(|(who, _)| (*who, Deed::Join)).collect();
        Self { messages, dice: Dice::seeded(2_026), acts, said: 0, once: 0, people: VOICES.len() - 1 }
    }

    fn acts(mut self) -> Vec<Act> {
        while self.said < self.messages {
            self.exchange();
        }
        self.acts
    }

    /// A question and what comes of it.
    fn exchange(&mut self) {
        let subject = self.dice.below(4);
        let (asker, tongues) = VOICES[self.dice.below(self.people)];
        let language = self.dice.pick(&tongues);
        let question = self.said;
        let opening = self.dice.pick(&language.asks[subject]);
        self.speak(asker, language, opening, None);
        let mut before = vec![opening];
        for _ in 0..=self.dice.below(6) {
            let (who, tongues) = VOICES[self.dice.below(self.people)];
            let language = self.dice.pick(&tongues);
            let answer = self.dice.pick(&language.answers[subject]);
            if who != asker && !before.contains(&answer) {
                let answered = self.dice.once_in(4).then_some(question);
                self.speak(who, language, answer, answered);
                before.push(answer);
            }
        }
        if self.dice.once_in(2) {
            let end = self.dice.pick(&language.ends);
            self.speak(asker, language, end, None);
        }
    }

    /// Says something; now and then somebody regrets it.
    fn speak(&mut self, who: &'static str, language: &Language, text: &str, answered: Option<usize>) {
        self.come_in();
        self.say_once();
        if self.said >= self.messages {
            return;
        }
        let text = self.filled(text, language);
        let number = self.said;
        self.push(
            who,
            match answered {
                Some(question) => Deed::Answer(question, Cow::Owned(text.clone())),
                None => Deed::Say(Cow::Owned(text.clone())),
            },
        );
        match self.dice.below(400) {
            0..8 => {
                let more = self.dice.pick(&language.ends);
                self.acts.push((who, Deed::Edit(number, format!("{text} {more}").into())));
            }
            8..13 => self.acts.push((who, Deed::Delete(number))),
            13 => self.acts.push((HOST, Deed::Delete(number))),
            14 => self.acts.push(("alice", Deed::Hide(number))),
            _ => {}
        }
    }

    fn push(&mut self, who: &'static str, deed: Deed) {
        self.acts.push((who, deed));
        self.said += 1;
        let left = self.messages - self.said;
        let readers = LAST_READ.iter().filter(|(before, _)| *before == left);
        self.acts.extend(readers.map(|(_, reader)| (*reader, Deed::Read)));
        if left > 100 && self.dice.once_in(20) {
            let (reader, _) = VOICES[self.dice.below(self.people)];
            self.acts.push((reader, Deed::Read));
        }
    }

    fn come_in(&mut self) {
        if self.people < VOICES.len() && self.said * 3 >= self.messages * 2 {
            self.acts.push((LATECOMER, Deed::Join));
            self.people = VOICES.len();
        }
    }

    fn say_once(&mut self) {
        if let Some((who, text)) = ONCE.get(self.once)
            && self.said < self.messages
            && self.once * self.messages <= self.said * ONCE.len()
        {
            self.once += 1;
            self.push(who, say(text));
        }
    }

    fn filled(&mut self, text: &str, language: &Language) -> String {
        let number = 2 + self.dice.below(28);
        text.replace("{dish}", self.dice.pick(&language.dishes))
            .replace("{place}", self.dice.pick(&language.places))
            .replace("{n}", &number.to_string())
    }
}
