//! The demo's rooms: a lively one, in which each person writes in their own languages, and a quiet one.

use std::borrow::Cow;

use super::dice::Dice;
use super::languages::{
    ARABIC, CHINESE, ENGLISH, FRENCH, GERMAN, GREEK, HEBREW, HINDI, JAPANESE, KOREAN, Language, RUSSIAN,
    SPANISH, THAI,
};
use super::scene::{Action, Place, Scene, Step, say};

/// Joins after two thirds of the messages, and sees only the last hundred of these.
const LATECOMER: &str = "mei";
const HOST: &str = "eleni";

/// The people and their languages.
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

/// When each person reads for the last time: the number of messages that follow.
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

/// Messages that are each sent once, at equal distances.
const SPECIAL: [(&str, &str); 24] = [
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

/// Returns the rooms, with `messages` messages in the lively one.
pub(super) fn all(messages: usize) -> Vec<Scene> {
    let about = "Write in any language. Someone will understand. 🌍";
    let lively = Place::Room(HOST, "Café Babel", about);
    let quiet = Place::Room("bob", "Quiet corner", "For those who would rather read.");
    let silence =
        vec![("bob", say("Shh.")), ("farah", Action::Join), ("farah", say("🤫")), ("bob", Action::Read)];
    vec![
        Scene { place: lively, began: 9_300, ended: 1, steps: Talk::new(messages).steps() },
        Scene { place: quiet, began: 8_000, ended: 7_400, steps: silence },
    ]
}

/// Generates the conversation in the lively room.
struct Talk {
    /// The number of messages to generate.
    messages: usize,
    dice: Dice,
    steps: Vec<Step>,
    /// The number of messages so far.
    sent: usize,
    /// How many of [`SPECIAL`] have been sent.
    special: usize,
    /// How many of [`VOICES`] are in the room; the latecomer is the last of them.
    people: usize,
}

impl Talk {
    fn new(messages: usize) -> Self {
        let joining = VOICES.iter().filter(|(who, _)| *who != HOST && *who != LATECOMER);
        let steps = joining.map(|(who, _)| (*who, Action::Join)).collect();
        Self { messages, dice: Dice::seeded(2_026), steps, sent: 0, special: 0, people: VOICES.len() - 1 }
    }

    fn steps(mut self) -> Vec<Step> {
        while self.sent < self.messages {
            self.exchange();
        }
        self.steps
    }

    /// Adds a question, answers to it, and sometimes a message that ends the exchange.
    fn exchange(&mut self) {
        let subject = self.dice.below(4);
        let (asker, languages) = VOICES[self.dice.below(self.people)];
        let language = self.dice.pick(&languages);
        let question = self.sent;
        let opening = self.dice.pick(&language.asks[subject]);
        self.speak(asker, language, opening, None);
        let mut used = vec![opening];
        for _ in 0..=self.dice.below(6) {
            let (who, languages) = VOICES[self.dice.below(self.people)];
            let language = self.dice.pick(&languages);
            let answer = self.dice.pick(&language.answers[subject]);
            if who != asker && !used.contains(&answer) {
                let reply_to = self.dice.once_in(4).then_some(question);
                self.speak(who, language, answer, reply_to);
                used.push(answer);
            }
        }
        if self.dice.once_in(2) {
            let end = self.dice.pick(&language.ends);
            self.speak(asker, language, end, None);
        }
    }

    /// Adds a message; sometimes it is then edited, deleted or hidden.
    fn speak(&mut self, who: &'static str, language: &Language, text: &str, reply_to: Option<usize>) {
        self.add_latecomer();
        self.add_special();
        if self.sent >= self.messages {
            return;
        }
        let text = self.fill_in(text, language);
        let number = self.sent;
        self.push(
            who,
            match reply_to {
                Some(question) => Action::Answer(question, Cow::Owned(text.clone())),
                None => Action::Say(Cow::Owned(text.clone())),
            },
        );
        match self.dice.below(400) {
            0..8 => {
                let more = self.dice.pick(&language.ends);
                self.steps.push((who, Action::Edit(number, format!("{text} {more}").into())));
            }
            8..13 => self.steps.push((who, Action::Delete(number))),
            13 => self.steps.push((HOST, Action::Delete(number))),
            14 => self.steps.push(("alice", Action::Hide(number))),
            _ => {}
        }
    }

    /// Adds a message, and the people who then read.
    fn push(&mut self, who: &'static str, action: Action) {
        self.steps.push((who, action));
        self.sent += 1;
        let left = self.messages - self.sent;
        let readers = LAST_READ.iter().filter(|(before, _)| *before == left);
        self.steps.extend(readers.map(|(_, reader)| (*reader, Action::Read)));
        if left > 100 && self.dice.once_in(20) {
            let (reader, _) = VOICES[self.dice.below(self.people)];
            self.steps.push((reader, Action::Read));
        }
    }

    /// Adds the latecomer once two thirds of the messages are sent.
    fn add_latecomer(&mut self) {
        if self.people < VOICES.len() && self.sent * 3 >= self.messages * 2 {
            self.steps.push((LATECOMER, Action::Join));
            self.people = VOICES.len();
        }
    }

    /// Adds the next of the special messages if it is due.
    fn add_special(&mut self) {
        if let Some((who, text)) = SPECIAL.get(self.special)
            && self.sent < self.messages
            && self.special * self.messages <= self.sent * SPECIAL.len()
        {
            self.special += 1;
            self.push(who, say(text));
        }
    }

    /// Replaces the placeholders of a text.
    fn fill_in(&mut self, text: &str, language: &Language) -> String {
        let number = 2 + self.dice.below(28);
        text.replace("{dish}", self.dice.pick(&language.dishes))
            .replace("{place}", self.dice.pick(&language.places))
            .replace("{n}", &number.to_string())
    }
}
