package keystore

import (
	"strings"
	"unicode"
)

const (
	minPhrase  = 12 // letters and digits of a phrase that count as the phrase
	phraseBits = 10 // entropy of which phrase it is, and which part of it
)

// knownPhrases are texts that many people know by heart, and that attackers guess first: letters and
// digits only, in lower case. zxcvbn takes their words for random ones.
var knownPhrases = strings.Fields(`
31415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679821480865132823066470938446
27182818284590452353602874713526624977572470936999595749669676277240766303535475945713821785251664274
141421356237309504880168872420969807856967187537694807317667973799
161803398874989484820458683436563811772030917980576
tobeornottobethatisthequestionwhethertisnoblerinthemindtosuffertheslingsandarrowsofoutrageousfortune
itwasthebestoftimesitwastheworstoftimesitwastheageofwisdomitwastheageoffoolishness
itisatruthuniversallyacknowledgedthatasinglemaninpossessionofagoodfortunemustbeinwantofawife
callmeishmaelsomeyearsagonevermindhowlongprecisely
itwasabrightcolddayinaprilandtheclockswerestrikingthirteen
inthebeginninggodcreatedtheheavensandtheearth
inthebeginningwasthewordandthewordwaswithgodandthewordwasgod
forgodsolovedtheworldthathegavehisonlybegottenson
ourfatherwhoartinheavenhallowedbethynamethykingdomcomethywillbedone
thelordismyshepherdishallnotwanthemakethmetoliedowningreenpastures
wethepeopleoftheunitedstatesinordertoformamoreperfectunion
weholdthesetruthstobeselfevidentthatallmenarecreatedequal
fourscoreandsevenyearsagoourfathersbroughtforth
asknotwhatyourcountrycandoforyouaskwhatyoucandoforyourcountry
ihaveadreamthatonedaythisnationwillriseup
theonlythingwehavetofearisfearitself
thatsonesmallstepforamanonegiantleapformankind
thequickbrownfoxjumpsoverthelazydog
packmyboxwithfivedozenliquorjugs
correcthorsebatterystaple
maytheforcebewithyoualways
alongtimeagoinagalaxyfarfaraway
franklymydearidontgiveadamn
imgonnamakehimanofferhecantrefuse
theresnoplacelikehome
lifeislikeaboxofchocolatesyouneverknowwhatyouregonnaget
thetruthisoutthere
spacethefinalfrontierthesearethevoyagesofthestarshipenterprise
livelongandprosper
oneringtorulethemalloneringtofindthemoneringtobringthemallandinthedarknessbindthem
notallthosewhowanderarelostallthatisgolddoesnotglitter
winteriscomingthenightisdarkandfullofterrors
lukeiamyourfather
ithinkthereforeiam
cogitoergosum
venividivici
carpediemquamminimumcredulapostero
loremipsumdolorsitametconsecteturadipiscingelit
galliaestomnisdivisainpartestres
theroadnottakentworoadsdivergedinayellowwood
romeoromeowhereforeartthouromeo
shallicomparetheetoasummersday
allthatglittersisnotgold
tomorrowandtomorrowandtomorrowcreepsinthispettypace
friendsromanscountrymenlendmeyourears
nowisthewinterofourdiscontentmadeglorioussummerbythissunofyork
twinkletwinklelittlestarhowiwonderwhatyouare
maryhadalittlelambitsfleecewaswhiteassnow
humptydumptysatonawallhumptydumptyhadagreatfall
happybirthdaytoyouhappybirthdaytoyou
isthisthereallifeisthisjustfantasy
letitbeletitbespeakingwordsofwisdomletitbe
hellodarknessmyoldfriendivecometotalkwithyouagain
wealliveinayellowsubmarine
sweetdreamsaremadeofthis
freudeschoenergoetterfunkentochterauselysium
allonsenfantsdelapatrielejourdegloireestarrive
ohsaycanyouseebythedawnsearlylight
godsavethequeengodsavetheking
nevergonnagiveyouupnevergonnaletyoudown
anappleadaykeepsthedoctoraway
theearlybirdcatchestheworm
apictureisworthathousandwords
actionsspeaklouderthanwords
`)

// withoutKnownPhrases returns the letters and digits of a passphrase without the pieces of known
// phrases among them, and how many pieces there were.
func withoutKnownPhrases(p string) (rest string, pieces int) {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, p)
	for at := 0; at+minPhrase <= len(plain); {
		n := phrasePrefix(plain[at:])
		if n == 0 {
			at++
			continue
		}
		plain = plain[:at] + plain[at+n:]
		pieces++
	}
	return plain, pieces
}

// phrasePrefix returns how much of the beginning of s is a piece of a known phrase, 0 if that is less than
// minPhrase.
func phrasePrefix(s string) (most int) {
	for _, text := range knownPhrases {
		for n := max(minPhrase, most+1); n <= len(s) && strings.Contains(text, s[:n]); n++ {
			most = n
		}
	}
	return most
}
