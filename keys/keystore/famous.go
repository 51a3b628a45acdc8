package keystore

import (
	"strings"
	"unicode"
)

const (
	famousLeast = 12 // letters and digits of a text that are taken for it
	famousBits  = 10 // what it takes to guess which text, and which part of it
)

// famous are texts that many know by heart, and that guessers try first: letters and
// digits only, in lower case. zxcvbn takes their words for random ones.
var famous = strings.Fields(`
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

// withoutFamous returns the letters and digits of a passphrase without what is famous
// among them, and how many pieces that were.
func withoutFamous(p string) (rest string, pieces int) {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, p)
	for at := 0; at+famousLeast <= len(plain); {
		n := famousPrefix(plain[at:])
		if n == 0 {
			at++
			continue
		}
		plain = plain[:at] + plain[at+n:]
		pieces++
	}
	return plain, pieces
}

// famousPrefix returns how much of the beginning of s stands in a famous text, 0 for
// too little to say.
func famousPrefix(s string) (most int) {
	for _, text := range famous {
		for n := max(famousLeast, most+1); n <= len(s) && strings.Contains(text, s[:n]); n++ {
			most = n
		}
	}
	return most
}
