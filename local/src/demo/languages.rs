//! The texts of the lively room: about four subjects, in thirteen languages.

/// Texts about food, the weather, journeys and words. The placeholders `{dish}`, `{place}` and `{n}` stand for one of
/// the dishes, one of the places, and a small number.
pub(super) struct Language {
    /// Questions about each subject.
    pub(super) asks: [[&'static str; 2]; 4],
    /// Answers about each subject.
    pub(super) answers: [[&'static str; 3]; 4],
    /// Messages that end an exchange.
    pub(super) ends: [&'static str; 4],
    pub(super) dishes: [&'static str; 4],
    pub(super) places: [&'static str; 4],
}

pub(super) const ENGLISH: Language = Language {
    asks: [
        ["What is everybody having for dinner? Here it is {dish}.", "Does {dish} taste better the next day?"],
        [
            "How is the weather where you are? {n} °C in {place}.",
            "Is it raining everywhere, or only in {place}?",
        ],
        ["Has anyone been to {place}? I have {n} days off.", "Train or plane to {place}?"],
        ["What do you call the day after tomorrow?", "Which word of your language has no translation?"],
    ],
    answers: [
        [
            "I could eat {dish} every single day.",
            "Only if there is {dish} as well!",
            "My aunt makes it with {n} cloves of garlic.",
        ],
        [
            "{n} °C and not a cloud.",
            "Fog all morning, you cannot see across the street.",
            "In {place} they say it will clear up on Friday.",
        ],
        [
            "Go to {place} first, it is only {n} minutes by bus.",
            "The night train. You wake up and you are there.",
            "Bring good shoes, {place} is all stairs.",
        ],
        [
            "We have two words for that, and both are wrong.",
            "Say it {n} times, fast.",
            "You have to hear it. I will send you a voice message one day.",
        ],
    ],
    ends: ["Thanks, that helps!", "Ha, I knew it 😄", "Good night all.", "Noted. I'll report back!"],
    dishes: ["jollof rice", "pepper soup", "shepherd's pie", "fried plantain"],
    places: ["Lagos", "Bristol", "Galway", "Accra"],
};

pub(super) const GERMAN: Language = Language {
    asks: [
        ["Wer hat ein gutes Rezept für {dish}?", "Heute gibt es bei uns {dish}. Und bei euch?"],
        ["Schneit es bei euch auch? In {place} liegen {n} cm.", "Wie wird das Wetter am Wochenende?"],
        ["Lohnt sich {place} für {n} Tage?", "Wer fährt mit nach {place}?"],
        ["Wie sagt man „Feierabend“ in eurer Sprache?", "Welches Wort könnt ihr einfach nicht aussprechen?"],
    ],
    answers: [
        [
            "Das Geheimnis ist eine Prise Muskat.",
            "Bei uns gab es {dish}, und nichts ist übrig geblieben.",
            "Mindestens {n} Minuten ziehen lassen!",
        ],
        [
            "Hier scheint die Sonne, {n} Grad, wir sitzen draußen.",
            "Es regnet Bindfäden.",
            "In {place} ist es so windig, dass die Fahrräder umfallen.",
        ],
        [
            "Unbedingt! Und nehmt den Zug über {place}.",
            "Ich war {n}-mal dort und will wieder hin.",
            "Schöne Grüße aus {place}, übrigens.",
        ],
        [
            "Eichhörnchen. Ich verstehe, dass das schwer ist.",
            "Dafür haben wir ein Wort mit {n} Buchstaben.",
            "So etwas sagt bei uns nur meine Großmutter.",
        ],
    ],
    ends: ["Danke schön!", "Das merke ich mir. 👍🏼", "Ach, herrlich 😂", "Schönen Feierabend!"],
    dishes: ["Käsespätzle", "Grünkohl", "Apfelstrudel", "Königsberger Klopse"],
    places: ["Köln", "Görlitz", "Zürich", "Graz"],
};

pub(super) const SPANISH: Language = Language {
    asks: [
        ["¿Quién cocina hoy? Aquí toca {dish}.", "¿Con qué acompañáis {dish}?"],
        ["¿Qué tiempo hace? En {place} estamos a {n} grados.", "¿Os ha llegado ya la tormenta de {place}?"],
        ["¿Alguien conoce {place}? Tengo {n} días libres.", "¿Cuál es el mejor mes para ir a {place}?"],
        ["¿Cómo se dice «sobremesa» en vuestro idioma?", "¿Qué palabra os hace gracia en español?"],
    ],
    answers: [
        [
            "¡Qué hambre! Yo quiero {dish}.",
            "Con limón, siempre con limón.",
            "Tarda {n} minutos, pero vale la pena.",
        ],
        [
            "Aquí, sol y {n} grados. No me quejo.",
            "Está lloviendo a cántaros.",
            "En {place} dicen que mañana nieva.",
        ],
        [
            "¡Ve a {place}! Te va a encantar.",
            "En otoño, cuando ya no hay turistas.",
            "Mi hermana vive allí desde hace {n} años, pregúntale.",
        ],
        [
            "«Murciélago»: tiene las cinco vocales.",
            "No existe. Hay que vivirlo.",
            "Se dice igual, pero con otra música.",
        ],
    ],
    ends: ["¡Muchísimas gracias!", "Jajaja, qué bueno 😂", "¡Hasta mañana, señores!", "Me lo apunto ✍🏽"],
    dishes: ["tortilla de patatas", "ceviche", "gazpacho", "arroz con leche"],
    places: ["Cádiz", "Córdoba", "Logroño", "Medellín"],
};

pub(super) const FRENCH: Language = Language {
    asks: [
        ["Qui a mangé quoi aujourd'hui ? Moi : {dish}.", "Peut-on congeler {dish} ?"],
        ["Il fait déjà {n} °C à {place}. Et chez vous ?", "Vous avez vu l'orage cette nuit ?"],
        ["Combien de temps faut-il pour visiter {place} ?", "On part où, cet été ?"],
        ["Comment traduire « dépaysement » ?", "Quel est le plus beau mot de votre langue ?"],
    ],
    answers: [
        [
            "Chez nous c'était {dish}, comme chaque dimanche.",
            "Avec {n} œufs, pas un de plus.",
            "Jamais de la vie !",
        ],
        [
            "Un froid de canard.",
            "Grand soleil, {n} °C à l'ombre.",
            "À {place}, le brouillard ne s'est pas levé.",
        ],
        [
            "{n} jours suffisent, si l'on marche vite.",
            "À {place}, bien sûr : la forêt, le marché, le fromage.",
            "N'importe où, pourvu qu'il y ait la mer.",
        ],
        [
            "« Crépuscule », sans hésiter.",
            "On ne traduit pas, on soupire.",
            "Ça s'écrit avec un ç, évidemment.",
        ],
    ],
    ends: ["Merci beaucoup !", "Ça, c'est noté.", "Trop drôle 🤣", "Bonne soirée à tous !"],
    dishes: ["la soupe à l'oignon", "un gratin dauphinois", "une crème brûlée", "des crêpes"],
    places: ["Besançon", "Nîmes", "Montréal", "Saint-Étienne"],
};

pub(super) const GREEK: Language = Language {
    asks: [
        ["Τι μαγειρεύετε σήμερα; Εμείς: {dish}.", "Ξέρει κανείς καλή συνταγή; Ψάχνω για: {dish}."],
        ["Τι καιρό κάνει εκεί; Εδώ {n} βαθμούς.", "Πάλι βρέχει; Εδώ ούτε ένα σύννεφο."],
        ["Πού να πάω για {n} μέρες; Σκέφτομαι: {place}.", "Με πλοίο ή με αεροπλάνο;"],
        ["Πώς λέτε το «φιλότιμο» στη γλώσσα σας;", "Ποια λέξη σας αρέσει περισσότερο;"],
    ],
    answers: [
        ["Με λίγο λεμόνι και ρίγανη.", "Η γιαγιά μου το ψήνει {n} ώρες.", "Εγώ θέλω κάτι άλλο: {dish}!"],
        [
            "Ήλιος και {n} βαθμοί, πάμε για μπάνιο.",
            "Φυσάει πολύ, τα πλοία μένουν στο λιμάνι.",
            "Κρύο, αλλά όμορφα.",
        ],
        ["Με πλοίο, πάντα με πλοίο!", "Να πας και εκεί: {place}.", "Πήγα {n} φορές και δεν το χόρτασα."],
        ["Δεν μεταφράζεται, δυστυχώς.", "Θάλασσα. Δεν υπάρχει πιο ωραία λέξη.", "Έτσι το λέμε κι εμείς!"],
    ],
    ends: ["Ευχαριστώ πολύ!", "Τέλεια 😊", "Καληνύχτα σε όλους.", "Χαχα, καλό!"],
    dishes: ["μουσακάς", "φασολάδα", "σπανακόπιτα", "γεμιστά"],
    places: ["Θεσσαλονίκη", "Νάξος", "Ιωάννινα", "Χανιά"],
};

pub(super) const RUSSIAN: Language = Language {
    asks: [
        ["Что у всех на ужин? У нас {dish}.", "Кто умеет готовить по-домашнему? Хочется вот чего: {dish}."],
        ["Какая у вас погода? Здесь {n}°.", "Ёлки, опять дождь. У вас тоже?"],
        ["Куда поехать на {n} дней? Думаю, {place}.", "Кто был на море в октябре?"],
        ["Как по-вашему «тоска»?", "Какое слово труднее всего выучить?"],
    ],
    answers: [
        ["Объедение!", "Главное, не жалеть укропа.", "Мама варит это {n} часа, не меньше."],
        ["У нас солнце и {n}°, гуляем без шапок.", "Снег по колено.", "Туман, как в сказке про ёжика."],
        [
            "Поезжай поездом, виды чудесные.",
            "{place}, конечно! Я бы хоть завтра.",
            "Мы были, понравилось, советую.",
        ],
        [
            "Этого слова не переведёшь.",
            "Достопримечательность. Попробуй скажи {n} раз подряд.",
            "У нас говорят так же!",
        ],
    ],
    ends: ["Большое спасибо!", "Вот это да 😄", "Спокойной ночи всем.", "Запомню, спасибо."],
    dishes: ["борщ", "пельмени", "сырники", "гречка с грибами"],
    places: ["Одесса", "Тбилиси", "Казань", "Алматы"],
};

pub(super) const ARABIC: Language = Language {
    asks: [
        ["ماذا طبختم اليوم؟ عندنا {dish}.", "من عنده وصفة جيدة؟ أبحث عن: {dish}."],
        ["كيف الطقس عندكم؟ هنا {n} درجة.", "هل وصلكم المطر؟"],
        ["من زار {place}؟ عندي {n} أيام إجازة.", "أيهما أجمل في الربيع: الجبل أم البحر؟"],
        ["كيف تقولون «اشتقت إليكم» بلغتكم؟", "ما أجمل كلمة في لغتكم؟"],
    ],
    answers: [
        ["بالهناء والشفاء!", "مع زيت الزيتون طبعًا.", "أمي تطبخها {n} ساعات على نار هادئة."],
        ["الشمس ساطعة، {n} درجة.", "غيوم كثيرة ولا قطرة مطر.", "البرد قارس هذا الصباح."],
        ["اذهب إلى {place} ولن تندم.", "البحر، دائمًا البحر.", "الطريق طويل لكنه جميل."],
        ["لا توجد ترجمة لهذه الكلمة.", "نقولها من القلب.", "كرّرها {n} مرات وستحفظها."],
    ],
    ends: ["شكرًا جزيلًا!", "هههه صحيح 😂", "تصبحون على خير.", "فكرة ممتازة 👌🏽"],
    dishes: ["مقلوبة", "تبّولة", "كنافة", "مجدّرة"],
    places: ["عمّان", "عكّا", "طرابلس", "مراكش"],
};

pub(super) const HEBREW: Language = Language {
    asks: [
        ["מה אוכלים היום? אצלנו {dish}.", "למי יש מתכון טוב? אני מחפשת: {dish}."],
        ["מה מזג האוויר אצלכם? כאן {n} מעלות.", "גם אצלכם יורד גשם?"],
        ["מי היה פעם ב{place}? יש לי {n} ימי חופש.", "רכבת או אוטובוס?"],
        ["איך אומרים אצלכם ״תתחדשי״?", "איזו מילה הכי קשה לכם?"],
    ],
    answers: [
        ["בתיאבון!", "עם הרבה לימון ופטרוזיליה.", "סבתא שלי מבשלת את זה {n} שעות."],
        ["שמש ו־{n} מעלות, הולכים לים.", "רוח חזקה, העציצים עפו.", "ערפל כזה לא ראיתי מזמן."],
        ["סעו ל{place}, תיהנו מאוד.", "רכבת, ברור. אפשר לקרוא ספר.", "הייתי שם {n} פעמים."],
        ["אין לזה תרגום.", "גם אצלנו אומרים ככה!", "חכו שתשמעו את זה בצעקות."],
    ],
    ends: ["תודה רבה!", "חחח מעולה 😂", "לילה טוב לכולם.", "רשמתי לפניי."],
    dishes: ["שקשוקה", "קובה סלק", "ג׳חנון", "עוגת גבינה"],
    places: ["חיפה", "צפת", "נצרת", "אילת"],
};

pub(super) const CHINESE: Language = Language {
    asks: [
        ["今天晚上吃什么？我们吃{dish}。", "谁会做{dish}？求教！"],
        ["你们那边天气怎么样？{place}今天{n}度。", "又下雨了，有人也在等雨停吗？"],
        ["有人去过{place}吗？我有{n}天假。", "坐火车去{place}要多久？"],
        ["“缘分”用你们的话怎么说？", "你最喜欢的字是哪一个？"],
    ],
    answers: [
        ["看饿了。", "多放辣椒，少放糖。", "我妈妈做{dish}要准备{n}个小时。"],
        ["这里晴天，{n}度，正好出门。", "台风要来了，大家小心。", "{place}早上有雾，什么都看不见。"],
        ["一定要去{place}，风景特别好。", "坐高铁{n}个小时就到。", "秋天去最好，人少。"],
        ["这个词没办法翻译。", "要看声调，声调错了意思就变了。", "我们也这么说！"],
    ],
    ends: ["谢谢大家！", "哈哈哈哈 😂", "晚安！", "学到了 👍🏻"],
    dishes: ["麻婆豆腐", "小笼包", "西红柿炒鸡蛋", "酸辣粉"],
    places: ["成都", "厦门", "哈尔滨", "桂林"],
};

pub(super) const THAI: Language = Language {
    asks: [
        ["เย็นนี้กินอะไรกันดี ที่นี่กิน{dish}", "ใครทำ{dish}เก่งบ้าง"],
        ["อากาศที่นั่นเป็นยังไงบ้าง ที่นี่ {n} องศา", "ฝนตกอีกแล้ว ที่อื่นตกไหม"],
        ["ใครเคยไป{place}บ้าง มีวันหยุด {n} วัน", "ไป{place}นั่งรถไฟดีไหม"],
        ["คำว่า “เกรงใจ” ภาษาของคุณพูดว่าอะไร", "คำไหนออกเสียงยากที่สุด"],
    ],
    answers: [
        ["น่ากินมาก", "ใส่มะนาวเยอะ ๆ อร่อยกว่า", "แม่ทำ{dish}ทุกวันอาทิตย์"],
        ["ร้อนมาก {n} องศา", "ฟ้าครึ้มทั้งวันแต่ฝนไม่ตก", "เช้านี้อากาศเย็นสบาย"],
        ["ไป{place}เลย สวยมาก", "นั่งรถไฟกลางคืนสนุกดี", "เคยไป {n} ครั้งแล้ว ยังอยากไปอีก"],
        ["แปลไม่ได้จริง ๆ", "ต้องฟังเสียงวรรณยุกต์ดี ๆ", "พูดเหมือนกันเลย"],
    ],
    ends: ["ขอบคุณมากค่ะ", "555 ตลกมาก 😂", "ฝันดีนะทุกคน", "จดไว้แล้ว"],
    dishes: ["ผัดไทย", "ต้มยำกุ้ง", "ส้มตำ", "ข้าวเหนียวมะม่วง"],
    places: ["เชียงใหม่", "น่าน", "กระบี่", "อยุธยา"],
};

pub(super) const HINDI: Language = Language {
    asks: [
        ["आज खाने में क्या है? हमारे यहाँ {dish}।", "{dish} की अच्छी रेसिपी किसके पास है?"],
        ["वहाँ मौसम कैसा है? {place} में {n} डिग्री।", "क्या वहाँ भी बारिश हो रही है?"],
        ["{place} कोई गया है? मेरे पास {n} दिन की छुट्टी है।", "रेल से जाएँ या बस से?"],
        ["आपकी भाषा में “जुगाड़” को क्या कहते हैं?", "कौन-सा शब्द आपको सबसे प्यारा लगता है?"],
    ],
    answers: [
        ["वाह, मुँह में पानी आ गया!", "थोड़ा अदरक और हरी मिर्च ज़रूर डालना।", "माँ इसे {n} घंटे पकाती हैं।"],
        ["यहाँ धूप है, {n} डिग्री।", "कोहरा इतना कि सड़क नहीं दिखती।", "{place} में आज आँधी आई थी।"],
        ["{place} ज़रूर जाइए, बहुत सुंदर है।", "रेल से, खिड़की वाली सीट लेना।", "मैं {n} बार जा चुकी हूँ।"],
        ["इसका अनुवाद नहीं हो सकता।", "हम भी ऐसे ही कहते हैं!", "{n} बार बोलो, याद हो जाएगा।"],
    ],
    ends: ["बहुत-बहुत धन्यवाद!", "हाहा, सही कहा 😄", "शुभ रात्रि!", "लिख लिया ✍🏾"],
    dishes: ["राजमा चावल", "मसाला डोसा", "गाजर का हलवा", "पोहा"],
    places: ["जयपुर", "वाराणसी", "शिमला", "पुणे"],
};

pub(super) const JAPANESE: Language = Language {
    asks: [
        ["今日の晩ごはんは何ですか？うちは{dish}です。", "{dish}のおいしい作り方、知っている人いますか？"],
        ["そちらの天気はどうですか？{place}は{n}度です。", "また雨ですね。みなさんのところは？"],
        ["{place}に行ったことがある人？{n}日休みがあります。", "{place}まで新幹線で行けますか？"],
        ["「木漏れ日」は何と訳しますか？", "好きな言葉は何ですか？"],
    ],
    answers: [
        ["おいしそう！", "だしは昆布で取るといいですよ。", "母の{dish}が一番です。"],
        ["こちらは晴れ、{n}度です。", "風が強くて傘が飛びました。", "{place}はもう雪だそうです。"],
        ["{place}がおすすめです。", "夜行バスもありますよ、{n}時間くらい。", "紅葉の季節が最高です。"],
        ["訳せませんね。", "発音が難しいです。", "うちでも同じことを言います！"],
    ],
    ends: ["ありがとうございます！", "なるほど〜", "おやすみなさい🌙", "笑いました😂"],
    dishes: ["肉じゃが", "お好み焼き", "味噌汁", "カレーうどん"],
    places: ["京都", "札幌", "長崎", "金沢"],
};

pub(super) const KOREAN: Language = Language {
    asks: [
        ["오늘 저녁은 뭐 드세요? 저는 {dish} 먹어요.", "{dish} 맛있게 만드는 법 아시는 분?"],
        ["거기 날씨는 어때요? {place}은 {n}도예요.", "거기도 비가 오나요?"],
        ["{place} 가 보신 분 계세요? 휴가가 {n}일 있어요.", "기차가 좋을까요, 버스가 좋을까요?"],
        ["‘정’은 여러분 말로 뭐라고 해요?", "제일 좋아하는 단어가 뭐예요?"],
    ],
    answers: [
        ["와, 맛있겠다!", "참기름을 꼭 넣으세요.", "저는 {dish} 없이는 못 살아요."],
        ["여기는 맑고 {n}도예요.", "바람이 너무 불어요.", "{place}에는 첫눈이 왔대요."],
        ["{place} 꼭 가 보세요.", "기차로 {n}시간이면 돼요.", "가을에 가면 단풍이 정말 예뻐요."],
        ["번역이 안 돼요.", "우리도 그렇게 말해요!", "{n}번만 따라 해 보세요."],
    ],
    ends: ["정말 고마워요!", "ㅋㅋㅋ 맞아요", "다들 안녕히 주무세요.", "좋은 생각이에요 👍"],
    dishes: ["김치찌개", "비빔밥", "떡볶이", "잡채"],
    places: ["부산", "전주", "강릉", "제주"],
};
