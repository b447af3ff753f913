#include "corpus/sample_words.h"

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace kodistil {
namespace {

// Words are separated by "|". A predicate is its kind (a adjective, v verb, n
// noun with 이다, e in 있다 or 없다), its stem, and after "/" its infinitive
// where that is not the rule's: 하 -> 해, 있 -> 있어, 없 -> 없어.
WordList Words(absl::string_view text) {
  return absl::StrSplit(text, '|', absl::SkipEmpty());
}

Predicate ParsePredicate(absl::string_view text) {
  Predicate predicate;
  predicate.kind = text[0] == 'a'   ? PredicateKind::kAdjective
                   : text[0] == 'n' ? PredicateKind::kNoun
                   : text[0] == 'v' ? PredicateKind::kVerb
                                    : PredicateKind::kExistential;
  text.remove_prefix(1);
  const size_t slash = text.find('/');
  predicate.stem = std::string(text.substr(0, slash));
  if (slash != absl::string_view::npos) {
    predicate.infinitive = std::string(text.substr(slash + 1));
  } else if (absl::EndsWith(predicate.stem, "하")) {
    predicate.infinitive =
        predicate.stem.substr(0, predicate.stem.size() - 3) + "해";
  } else {
    predicate.infinitive = predicate.stem + "어";
  }
  return predicate;
}

std::vector<Predicate> Predicates(absl::string_view text) {
  std::vector<Predicate> predicates;
  for (const absl::string_view word :
       absl::StrSplit(text, '|', absl::SkipEmpty())) {
    predicates.push_back(ParsePredicate(word));
  }
  return predicates;
}

constexpr absl::string_view kGood =
    "a좋/좋아|a괜찮/괜찮아|a훌륭하|a뛰어나/뛰어나|a완벽하|"
    "a만족스럽/만족스러워|a탁월하|a대단하|n최고급|n인상적|a깔끔하|"
    "a무난히 좋/무난히 좋아|a신선하|a알차/알차|a든든하|a흡족하|"
    "a자연스럽/자연스러워|a섬세하|a정교하|a탄탄하|v마음에 와닿/마음에 와닿아|"
    "v기대를 뛰어넘/기대를 뛰어넘어|e흠잡을 데 없|e나무랄 데 없|v빛나/빛나|"
    "v돋보이/돋보여|a놀랍/놀라워|a참신하|a세련되/세련돼|n매력적|e매력 있|"
    "e센스 있|a우수하|a쾌적하|a풍성하|a고급스럽/고급스러워|a준수하|a산뜻하|"
    "v제 몫을 하|a출중하|a남다르/남달라|n압도적|a흐뭇하|a똑똑하|a말끔하|"
    "a믿음직스럽/믿음직스러워|n일품|a기특하|a야무지/야무져";
constexpr absl::string_view kBad =
    "n별로|a나쁘/나빠|a아쉽/아쉬워|a실망스럽/실망스러워|e형편없|n엉망|"
    "a엉성하|a부족하|a허술하|a조잡하|a답답하|a어색하|a지저분하|a불편하|"
    "e어이없|a빈약하|a조악하|a심각하|a끔찍하|a처참하|a애매하|"
    "a억지스럽/억지스러워|v망하|v짜증 나/짜증 나|v거슬리/거슬려|"
    "v기대에 못 미치/기대에 못 미쳐|e성의 없|e볼품없|a미흡하|a한심하|a뻔하|"
    "a산만하|a허접하|a어설프/어설퍼|a난해하|v무너지/무너져|v떨어지/떨어져|"
    "a밋밋하|a썰렁하|a부실하|a싱겁/싱거워|a초라하|a유치하|a난잡하|v처지/처져|"
    "a투박하|a촌스럽/촌스러워|a불쾌하|a민망하|a괘씸하|a꺼림칙하";

constexpr absl::string_view kFilmGood =
    "e재미있|n감동적|v웃기/웃겨|a흥미진진하|a아름답/아름다워|a따뜻하|a짜릿하|"
    "a애틋하|a통쾌하|v긴장감 넘치/긴장감 넘쳐|a뭉클하|e여운이 있|a강렬하|"
    "a유쾌하|a황홀하|v심장을 울리/심장을 울려|v가슴을 치/가슴을 쳐|a담백하|"
    "a절절하|a치밀하";
constexpr absl::string_view kFilmBad =
    "e재미없|a지루하|a식상하|a유치찬란하|n작위적|v오글거리/오글거려|a진부하|"
    "v늘어지/늘어져|v졸리/졸려|a허무하|e개연성 없|a신파스럽/신파스러워|"
    "v몰입을 깨/몰입을 깨|v손발이 굳어지/손발이 굳어져|a장황하|a황당하|"
    "a어수선하|v산으로 가/산으로 가|e뜬금없|a무미건조하";
constexpr absl::string_view kShopGood =
    "a튼튼하|a예쁘/예뻐|a저렴하|a부드럽/부드러워|a꼼꼼하|a친절하|a편하|"
    "n실용적|a향긋하|e맛있|a촉촉하|a포근하|a넉넉하|a싱싱하|a단단하|a견고하|"
    "v잘 맞/잘 맞아|v피부에 착 붙/피부에 착 붙어|a보송보송하|a도톰하";
constexpr absl::string_view kShopBad =
    "a약하|v벗겨지/벗겨져|v찢어지/찢어져|a불친절하|a따갑/따가워|a비싸/비싸|"
    "a퀴퀴하|v고장 나/고장 나|v물이 새/물이 새|e맛없|a까끌까끌하|a뻣뻣하|"
    "v보풀이 생기/보풀이 생겨|a눅눅하|v금이 가/금이 가|v색이 빠지/색이 빠져|"
    "a비리/비려|a헐겁/헐거워|v흐물거리/흐물거려|v실밥이 터지/실밥이 터져";
constexpr absl::string_view kGameGood =
    "e재미있|e중독성 있|a화려하|a부드럽/부드러워|n안정적|a공정하|a찰지/찰져|"
    "a방대하|n직관적|a시원시원하|v몰입감 넘치/몰입감 넘쳐|e손맛이 살아 있|"
    "a아기자기하|a호쾌하|a쫄깃하|a웅장하|a혜자스럽/혜자스러워|"
    "v술술 풀리/술술 풀려|a자유롭/자유로워|n전략적";
constexpr absl::string_view kGameBad =
    "e재미없|v튕기/튕겨|v끊기/끊겨|a불공평하|v버벅거리/버벅거려|"
    "a단조롭/단조로워|v멈추/멈춰|a창렬하|a불안정하|v꼬이/꼬여|n구식|"
    "v날로 먹/날로 먹어|a지겹/지겨워|v계속 터지/계속 터져|"
    "a노가다스럽/노가다스러워|a번거롭/번거로워|v깨지/깨져|a불합리하|"
    "a텅 비/텅 비어|a무성의하";

constexpr absl::string_view kFilmPhrasesGood =
    "v시간 가는 줄 모르/시간 가는 줄 몰라|e눈을 뗄 수가 없|"
    "v또 보고 싶어지/또 보고 싶어져|v강력히 추천하|v눈물이 나/눈물이 나|"
    "v극장에서 보길 잘하|v두고두고 생각나/두고두고 생각나|"
    "v배꼽 빠지게 웃기/배꼽 빠지게 웃겨|a가족끼리 보기 좋/가족끼리 보기 좋아|"
    "e지루할 틈이 없|v만점을 주/만점을 줘|v소름이 돋/소름이 돋아|"
    "v박수가 나오/박수가 나와|e후회가 없";
constexpr absl::string_view kFilmPhrasesBad =
    "a돈이 아깝/돈이 아까워|a시간이 아깝/시간이 아까워|"
    "v하품만 나오/하품만 나와|v중간에 나가고 싶어지/중간에 나가고 싶어져|"
    "v보다가 눈이 감기/보다가 눈이 감겨|e건질 게 없|"
    "v왜 만들었는지 모르/왜 만들었는지 몰라|e끝까지 볼 수가 없|"
    "v환불받고 싶어지/환불받고 싶어져|v한숨만 나오/한숨만 나와|"
    "v졸작의 냄새가 나/졸작의 냄새가 나|"
    "v보면서 계속 시계를 보/보면서 계속 시계를 봐|e남는 게 없|"
    "v실소가 터지/실소가 터져";
constexpr absl::string_view kShopPhrasesGood =
    "v재구매하|v주변에 추천하|a잘 산 것 같/잘 산 것 같아|"
    "v벌써 세 번째 사/벌써 세 번째 사|e불만이 없|n선물하기 딱|v사길 잘하|"
    "v매일 쓰게 되/매일 쓰게 돼|e바꿀 이유가 없|v가격값을 하|"
    "v온 가족이 좋아하|e이만한 게 없|v하나 더 주문하|v쟁여 두/쟁여 둬";
constexpr absl::string_view kShopPhrasesBad =
    "v반품하|v돈만 버리/돈만 버려|e다시는 살 일이 없|"
    "a사진과 다르/사진과 달라|v바로 버리/바로 버려|v환불 요청하|e쓸 수가 없|"
    "n싼 게 비지떡|v하루 만에 망가지/하루 만에 망가져|v광고에 속/광고에 속아|"
    "v새 제품 맞는지 의심되/새 제품 맞는지 의심돼|"
    "v구석에 처박아 두/구석에 처박아 둬|v두 번은 안 사/두 번은 안 사|"
    "e답변도 없";
constexpr absl::string_view kGamePhrasesGood =
    "v밤새 하게 되/밤새 하게 돼|e손을 놓을 수가 없|v친구들에게 추천하|"
    "v갓겜 소리가 나오/갓겜 소리가 나와|"
    "v정가 주고 사도 남/정가 주고 사도 남아|"
    "v후속작이 기다려지/후속작이 기다려져|"
    "v인생 게임에 들어가/인생 게임에 들어가|"
    "v백 시간을 훌쩍 넘기/백 시간을 훌쩍 넘겨|"
    "v할수록 빠지게 되/할수록 빠지게 돼|v엔딩에서 울컥하|v두 번째 회차를 하|"
    "e부족함이 없|v개발자에게 절하고 싶어지/개발자에게 절하고 싶어져|"
    "v출시일에 산 보람을 느끼/출시일에 산 보람을 느껴";
constexpr absl::string_view kGamePhrasesBad =
    "v바로 지우/바로 지워|v환불하|v시간만 버리/시간만 버려|e할 게 없|"
    "v현질만 강요하|v접속도 안 되/접속도 안 돼|v삭제하게 되/삭제하게 돼|"
    "v할인해도 안 사/할인해도 안 사|v욕이 나오/욕이 나와|e콘텐츠가 없|"
    "v십 분 만에 끄/십 분 만에 꺼|a운영진만 배부르/운영진만 배불러|"
    "v미완성을 내놓/미완성을 내놓아|v버그를 돈 받고 내주/버그를 돈 받고 내줘";

void FillFilm(SampleDomain* film) {
  film->things =
      Words("영화|작품|이 영화|이번 편|속편|이 감독 영화|드라마|다큐");
  film->aspects = Words(
      "연기|스토리|연출|영상미|결말|전개|주인공|음악|대사|액션|반전|캐릭터|"
      "배우들|각본|편집|CG|분위기|설정|촬영|조연|악역|개그|로맨스|초반|후반부|"
      "마지막 장면|주제|더빙|색감|미술|의상|오프닝|목소리|호흡|카메라 움직임|"
      "원작 재현|감정선|첫 장면|자막|추격 장면|두 사람의 사이|세계관|메시지|"
      "특수 효과|배경 음악");
  film->fillers = Words(
      "주말에 친구랑 봤|조조로 봤|혼자 극장에서 봤|원작을 먼저 읽었|"
      "어제 집에서 봤|예고편을 보고 골랐|부모님을 모시고 봤|시사회에 다녀왔|"
      "두 시간이 조금 넘었|아이들과 함께 봤|넷플릭스에 올라왔길래 봤|"
      "평점을 보고 들어갔|비 오는 날 봤|개봉하자마자 봤|십 년 만에 다시 봤|"
      "케이블에서 해 주길래 봤");
  film->verdicts[0] = Words(
      "졸작|망작|쓰레기|최악|시간 낭비|돈 낭비|억지 신파|그저 그런 영화|"
      "킬링타임도 못 되는 영화|용두사미|재난|감독의 자기만족|팔다 남은 각본|"
      "역대급 실망작");
  film->verdicts[1] = Words(
      "명작|수작|인생 영화|최고|걸작|올해의 영화|강추|숨은 보석|대작|"
      "완벽한 마무리|감독의 승리|두 번 볼 영화|교과서 같은 작품|"
      "가족 영화의 정석");
  film->scaled[0] = Words(
      "억지 설정|광고|허점|군더더기|욕설|신파|잡음|개연성 문제|피로감|진부함|"
      "설명하는 대사|쓸데없는 장면|거부감|실망감");
  film->scaled[1] = Words(
      "볼거리|웃음 포인트|여운|완성도|몰입감|긴장감|감동|재미|깊이|설득력|"
      "생각할 거리|명장면|현실감|만족감");
  film->predicates[0] = Predicates(kFilmBad);
  film->predicates[1] = Predicates(kFilmGood);
  film->phrases[0] = Predicates(kFilmPhrasesBad);
  film->phrases[1] = Predicates(kFilmPhrasesGood);
}

void FillShop(SampleDomain* shop) {
  shop->things =
      Words("제품|이 제품|상품|물건|이 가방|이 의자|이 크림|신발|이불|텀블러");
  shop->aspects = Words(
      "배송|품질|디자인|포장|색상|사이즈|마감|재질|착용감|향|맛|두께|설명서|"
      "판매자|상담원|교환 과정|바느질|지퍼|단추|끈|바닥|손잡이|뚜껑|버튼|"
      "충전기|케이스|조립 상태|겉감|안감|박스|거품|발림성|촉감|화면|스피커|"
      "배터리|구성|사은품|무늬|프린팅|쿠션감|탄력|코팅|밑창|수납공간|필터");
  shop->fillers = Words(
      "지난주에 주문했|이틀 만에 받았|할인할 때 샀|엄마 선물로 샀|두 개 주문했|"
      "검색하다가 골랐|사진 보고 샀|한 달째 쓰고 있|집들이 선물로 받았|"
      "쿠폰 써서 샀|흰색으로 골랐|같은 걸로 두 번째 샀|후기를 보고 주문했|"
      "회사에서 쓰려고 샀|새벽 배송으로 받았|오늘 택배로 받았");
  shop->verdicts[0] = Words(
      "불량품|돈 낭비|쓰레기|최악|꽝|애물단지|짝퉁 수준|후회템|하자품|"
      "중고 같은 물건|다이소만도 못한 물건|포장만 그럴듯한 물건|사기|반품 "
      "대상");
  shop->verdicts[1] = Words(
      "인생템|최고|대박|강추|가성비 갑|만족 그 자체|효자템|필수품|정품|국민템|"
      "선물용으로 제격|믿고 사는 브랜드|재구매 확정|이 가격대 끝판왕");
  shop->scaled[0] = Words(
      "불량|소음|냄새|하자|먼지|스크래치|보풀|추가 비용|발열|이염|배송비|불만|"
      "실밥|잔고장");
  shop->scaled[1] = Words(
      "내구성|만족도|활용도|구성품|혜택|흡수력|신축성|보온력|장점|완성도|쓸모|"
      "신뢰도|통기성|사은품");
  shop->predicates[0] = Predicates(kShopBad);
  shop->predicates[1] = Predicates(kShopGood);
  shop->phrases[0] = Predicates(kShopPhrasesBad);
  shop->phrases[1] = Predicates(kShopPhrasesGood);
}

void FillGame(SampleDomain* game) {
  game->things =
      Words("게임|이 게임|신작|이번 시리즈|DLC|인디 게임|확장팩|모바일판");
  game->aspects = Words(
      "그래픽|조작감|밸런스|최적화|서버|매칭|스토리|사운드|타격감|업데이트|"
      "튜토리얼|UI|한글 번역|로딩|던전|보스전|운영|캐릭터|스킬 설계|퀘스트|"
      "맵 구성|전투|멀티|싱글 모드|카메라 시점|저장 방식|커스터마이징|이벤트|"
      "길드 시스템|음성 채팅|물리 엔진|퍼즐|성장 구조|아이템 설계|컷신|"
      "인공지능|경매장|패드 지원|도전 과제|배경 음악|초반 "
      "진행|엔딩|랭크전|모션");
  game->fillers = Words(
      "할인할 때 샀|친구 따라 시작했|열 시간 정도 했|베타 때부터 했|"
      "어제 엔딩을 봤|노트북으로 돌렸|세 명이서 같이 했|출시 첫날 깔았|"
      "추천 영상을 보고 샀|주말 내내 했|전작도 다 했|패드로 했|"
      "무료로 풀려서 받았|컴퓨터를 새로 맞췄|오랜만에 다시 깔았|"
      "한 판에 삼십 분쯤 걸렸");
  game->verdicts[0] = Words(
      "망겜|똥겜|최악|시간 낭비|돈 낭비|미완성작|과금 유도 덩어리|쓰레기|"
      "버그 덩어리|양산형|후회작|전작의 수치|유료 베타|환불감");
  game->verdicts[1] = Words(
      "갓겜|명작|인생 게임|최고|강추|수작|올해의 게임|숨은 명작|혜자 게임|"
      "정가 주고 살 게임|역작|시리즈 최고작|타임머신|입문용 최고작");
  game->scaled[0] = Words(
      "버그|렉|과금 유도|핵 유저|오류|노가다|튕김|광고|피로도|소음|반복 퀘스트|"
      "불친절함|프레임 저하|욕하는 유저");
  game->scaled[1] = Words(
      "콘텐츠|즐길 거리|몰입감|자유도|완성도|재미|성취감|보상|긴장감|전략성|"
      "숨은 요소|손맛|개성|반복 플레이 가치");
  game->predicates[0] = Predicates(kGameBad);
  game->predicates[1] = Predicates(kGameGood);
  game->phrases[0] = Predicates(kGamePhrasesBad);
  game->phrases[1] = Predicates(kGamePhrasesGood);
}

SampleWords* MakeWords() {
  auto* words = new SampleWords;
  FillFilm(&words->domains[0]);
  FillShop(&words->domains[1]);
  FillGame(&words->domains[2]);
  words->predicates[0] = Predicates(kBad);
  words->predicates[1] = Predicates(kGood);
  words->scales[0] = Predicates(
      "a적/적어|e거의 없|v모자라/모자라|a덜하|v사라지/사라져|a미미하|"
      "v안 보이/안 보여");
  words->scales[1] = Predicates(
      "a많/많아|a엄청나/엄청나|v넘치/넘쳐|a상당하|v늘어나/늘어나|a가득하|"
      "v자꾸 보이/자꾸 보여");
  words->intensifiers = Words(
      "정말|너무|진짜|아주|매우|꽤|완전|참|무척|생각보다|굉장히|확실히|역시|"
      "상당히|은근히|솔직히|유난히|의외로|그냥|제법|더럽게|겁나|훨씬|여전히");
  words->hedges = Words("별로|그다지|그렇게|전혀|하나도|딱히|그리");
  words->openings = Words(
      "솔직히|음|아|와|글쎄|개인적으로|처음엔 몰랐는데|일단|사실|"
      "다른 건 모르겠고|기다린 끝에|우연히|드디어|요즘");
  words->turns = Words(
      "하지만|그래도|근데|그런데|다만|그렇지만|그럼에도|막상 따져 보면|"
      "한편으로는");
  words->verdict_openings = Words(
      "결론은|한마디로|전체적으로|총평은|결국|아무튼|그래서 종합하면|어쨌든");
  words->people = Words(
      "다들|친구는|남들은|평론가들은|동생은|후기에서는|사람들은|엄마는|"
      "광고에서는|커뮤니티에서는|회사 사람들은|유튜버들은");
  words->name_syllables = Words(
      "가|나|다|라|마|바|사|아|자|하|고|노|도|로|모|보|소|오|조|호|구|누|두|루|"
      "무|부|수|우|주|후|미|비|시|이|지|리|니|기|디|키|티|피|레|네|세|테|펜|란|"
      "린|벨|칸|온|솔|별|강|산|빛|달|설|윤|진|혁|준|희|영|석|담|율|빈|겸|환|"
      "찬");
  words->emoticons[0] = Words("ㅠㅠ|ㅡㅡ|ㅠ|;;|ㅜㅜ|-_-|ㅉㅉ|...ㅠ|하..|에휴");
  words->emoticons[1] = Words("^^|ㅎㅎ|♥|b|굿|~^^|ㅋㅋ|짱|>_<|:)");
  words->neutral_emoticons =
      Words("ㅋㅋ|ㅋㅋㅋ|ㅎㅎ|ㅠㅠ|...|~|ㅋ|ㄷㄷ|ㅜㅜ|ㅋㅋㅋㅋ");
  words->punctuation = Words(".|.|.|!|..|...|~|!!|,| ");
  return words;
}

}  // namespace

const SampleWords& GetSampleWords() {
  static const SampleWords* const words = MakeWords();
  return *words;
}

}  // namespace kodistil
