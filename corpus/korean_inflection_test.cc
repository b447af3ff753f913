#include "corpus/korean_inflection.h"

#include <utility>
#include <vector>

#include "base/testing.h"

namespace kodistil {
namespace {

struct Case {
  Ending ending;
  const char* expected;
};

void ExpectForms(const Predicate& predicate, const std::vector<Case>& cases) {
  for (const Case& expected : cases) {
    EXPECT_EQ(Inflect(predicate, expected.ending), expected.expected);
  }
}

TEST(KoreanInflectionTest, RegularAdjective) {
  ExpectForms({PredicateKind::kAdjective, "좋", "좋아", ""},
              {{Ending::kPlain, "좋다"},
               {Ending::kPolite, "좋아요"},
               {Ending::kFormal, "좋습니다"},
               {Ending::kNominal, "좋음"},
               {Ending::kExclaim, "좋네요"},
               {Ending::kReport, "좋더라"},
               {Ending::kPastPlain, "좋았다"},
               {Ending::kPastPolite, "좋았어요"},
               {Ending::kPastFormal, "좋았습니다"},
               {Ending::kPastNominal, "좋았음"},
               {Ending::kBut, "좋지만"},
               {Ending::kPastBut, "좋았지만"},
               {Ending::kBackground, "좋은데"},
               {Ending::kAnd, "좋고"},
               {Ending::kReason, "좋아서"},
               {Ending::kQuote, "좋다고"},
               {Ending::kAttributive, "좋은"},
               {Ending::kProspective, "좋을"},
               {Ending::kNounForm, "좋기"},
               {Ending::kPastCondition, "좋았으면"}});
}

TEST(KoreanInflectionTest, OpenStemsTakeFinalConsonants) {
  ExpectForms({PredicateKind::kAdjective, "훌륭하", "훌륭해", ""},
              {{Ending::kFormal, "훌륭합니다"},
               {Ending::kNominal, "훌륭함"},
               {Ending::kBackground, "훌륭한데"},
               {Ending::kProspective, "훌륭할"},
               {Ending::kPastPlain, "훌륭했다"}});
}

TEST(KoreanInflectionTest, VerbsHaveTheirOwnPresent) {
  ExpectForms({PredicateKind::kVerb, "떨어지", "떨어져", ""},
              {{Ending::kPlain, "떨어진다"},
               {Ending::kQuote, "떨어진다고"},
               {Ending::kAttributive, "떨어지는"},
               {Ending::kPastPolite, "떨어졌어요"}});
  EXPECT_EQ(Inflect({PredicateKind::kVerb, "먹", "먹어", ""}, Ending::kPlain),
            "먹는다");
}

TEST(KoreanInflectionTest, StemsInBieupTurnItIntoU) {
  ExpectForms({PredicateKind::kAdjective, "아깝", "아까워", ""},
              {{Ending::kPlain, "아깝다"},
               {Ending::kFormal, "아깝습니다"},
               {Ending::kNominal, "아까움"},
               {Ending::kBackground, "아까운데"},
               {Ending::kProspective, "아까울"},
               {Ending::kPastPlain, "아까웠다"}});
}

TEST(KoreanInflectionTest, NounsTakeTheCopula) {
  ExpectForms({PredicateKind::kNoun, "명작", "", ""},
              {{Ending::kPlain, "명작이다"},
               {Ending::kPolite, "명작이에요"},
               {Ending::kFormal, "명작입니다"},
               {Ending::kQuote, "명작이라고"},
               {Ending::kPastPlain, "명작이었다"}});
  ExpectForms({PredicateKind::kNoun, "최고", "", ""},
              {{Ending::kPlain, "최고다"},
               {Ending::kPolite, "최고예요"},
               {Ending::kNominal, "최고임"},
               {Ending::kQuote, "최고라고"},
               {Ending::kPastPlain, "최고였다"}});
}

TEST(KoreanInflectionTest, NegationKeepsTheKind) {
  ExpectForms(
      Negate({PredicateKind::kExistential, "재미있", "재미있어", ""}, ""),
      {{Ending::kPlain, "재미있지 않다"},
       {Ending::kBackground, "재미있지 않은데"}});
  ExpectForms(Negate({PredicateKind::kVerb, "돋보이", "돋보여", ""}, "는"),
              {{Ending::kPlain, "돋보이지는 않는다"},
               {Ending::kPolite, "돋보이지는 않아요"}});
  ExpectForms(Negate({PredicateKind::kNoun, "최고", "", ""}, ""),
              {{Ending::kPlain, "최고가 아니다"},
               {Ending::kPolite, "최고가 아니에요"},
               {Ending::kFormal, "최고가 아닙니다"},
               {Ending::kPastPlain, "최고가 아니었다"},
               {Ending::kQuote, "최고가 아니라고"}});
}

TEST(KoreanInflectionTest, ParticlesFollowTheLastSound) {
  EXPECT_EQ(WithParticle("연출", "이", "가"), "연출이");
  EXPECT_EQ(WithParticle("연기", "이", "가"), "연기가");
  EXPECT_EQ(WithParticle("CG", "은", "는"), "CG은");
}

}  // namespace
}  // namespace kodistil
