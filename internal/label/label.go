// Package label lists every domain-separation label of the protocol in one place.
//
// Every HKDF info, every associated data and every signed or hashed input of
// Hopseal starts with one of these, but for digests that only stand for the hashed
// bytes: within such an input, or beside another to be compared. A label names the version,
// the layer and the purpose, and ends in a zero byte, so that none is a prefix of another
// and bytes made for one purpose mean nothing for any other (requirement A04).
package label

// A Label starts an input to a hash, a MAC, a signature, an AEAD or a KDF.
type Label string

// With returns the label followed by the parts, which the caller must have made
// unambiguous: all but the last of fixed length, or length-prefixed.
func (l Label) With(parts ...[]byte) []byte {
	n := len(l)
	for _, p := range parts {
		n += len(p)
	}
	out := append(make([]byte, 0, n), l...)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// Labels of the keys layer.
const (
	Fingerprint  Label = "hopseal/1 keys fingerprint\x00"
	SigningKeyID Label = "hopseal/1 keys signing key id\x00"
	SealingKeyID Label = "hopseal/1 keys sealing key id\x00"
	SharedKeyID  Label = "hopseal/1 keys shared key id\x00"
	Identity     Label = "hopseal/1 keys public identity\x00"
	IdentityFile Label = "hopseal/1 keys identity file\x00"
	Succession   Label = "hopseal/1 keys succession\x00"
	Voucher      Label = "hopseal/1 keys voucher\x00"
	SafetyNumber Label = "hopseal/1 keys safety number\x00"
	StoreControl Label = "hopseal/1 keys store control\x00"
)

// Labels of the transport layer.
const (
	DiagnoseBinding Label = "hopseal/1 transport diagnose binding\x00"
	TicketKey       Label = "hopseal/1 servertls ticket\x00"
)

// Labels of the envelope layer.
const (
	EnvelopeBody       Label = "hopseal/1 envelope body\x00"
	EnvelopeBodyKey    Label = "hopseal/1 envelope body key\x00"
	EnvelopeContentID  Label = "hopseal/1 envelope content key id\x00"
	EnvelopeHeader     Label = "hopseal/1 envelope header\x00"
	EnvelopeRecipient  Label = "hopseal/1 envelope recipient\x00"
	EnvelopeDigest     Label = "hopseal/1 envelope digest\x00"
	EnvelopeProof      Label = "hopseal/1 envelope proof\x00"
	EnvelopeProofKeyed Label = "hopseal/1 envelope proof hmac\x00"
	EnvelopeReplay     Label = "hopseal/1 envelope replay key\x00"

	StreamHeader        Label = "hopseal/1 envelope stream header\x00"
	StreamKey           Label = "hopseal/1 envelope stream key\x00"
	StreamSegment       Label = "hopseal/1 envelope stream segment\x00"
	StreamOpeningDigest Label = "hopseal/1 envelope stream opening digest\x00"
	StreamOpening       Label = "hopseal/1 envelope stream opening proof\x00"
	StreamOpeningKeyed  Label = "hopseal/1 envelope stream opening proof hmac\x00"
	StreamFinalDigest   Label = "hopseal/1 envelope stream final digest\x00"
	StreamFinal         Label = "hopseal/1 envelope stream final proof\x00"
	StreamFinalKeyed    Label = "hopseal/1 envelope stream final proof hmac\x00"
)

// Labels of the session layer.
const (
	SessionPrologue   Label = "hopseal/1 session prologue\x00"
	SessionPSK        Label = "hopseal/1 session psk\x00"
	SessionTranscript Label = "hopseal/1 session transcript\x00"
	SessionServerAuth Label = "hopseal/1 session server auth\x00"
	SessionClientAuth Label = "hopseal/1 session client auth\x00"
	SessionAccept     Label = "hopseal/1 session accept\x00"
	SessionServerSign Label = "hopseal/1 session server signature\x00"
	SessionClientSign Label = "hopseal/1 session client signature\x00"
	SessionClientKey  Label = "hopseal/1 session client traffic\x00"
	SessionServerKey  Label = "hopseal/1 session server traffic\x00"
	SessionNextKey    Label = "hopseal/1 session next generation\x00"
	SessionID         Label = "hopseal/1 session id\x00"
	SessionRecord     Label = "hopseal/1 session record\x00"
	SessionSigned     Label = "hopseal/1 session signed message\x00"
	SessionLogID      Label = "hopseal/1 session log name\x00"
	SessionHop        Label = "hopseal/1 session hop\x00"

	ResumeSecret      Label = "hopseal/1 session resume secret\x00"
	ResumeNext        Label = "hopseal/1 session resume next secret\x00"
	ResumeID          Label = "hopseal/1 session resume id\x00"
	ResumePSK         Label = "hopseal/1 session resume psk\x00"
	ResumeClientHello Label = "hopseal/1 session resume client hello\x00"
	ResumeServerHello Label = "hopseal/1 session resume server hello\x00"
	ResumeClientKey   Label = "hopseal/1 session resume client traffic\x00"
	ResumeServerKey   Label = "hopseal/1 session resume server traffic\x00"
	ResumeLinkID      Label = "hopseal/1 session resume link id\x00"
	ResumeRefusal     Label = "hopseal/1 session resume refusal\x00"
	ResumeRefusalSign Label = "hopseal/1 session resume refusal signature\x00"

	RekeySecret    Label = "hopseal/1 session rekey secret\x00"
	ResumeRekey    Label = "hopseal/1 session resume rekey secret\x00"
	RekeyKEM       Label = "hopseal/1 session rekey kem\x00"
	RekeyClientKey Label = "hopseal/1 session rekey client traffic\x00"
	RekeyServerKey Label = "hopseal/1 session rekey server traffic\x00"
	RekeyLinkID    Label = "hopseal/1 session rekey link id\x00"
	RekeyNext      Label = "hopseal/1 session rekey next secret\x00"
	RekeyResume    Label = "hopseal/1 session rekey resume secret\x00"
)

// Labels of what a session store is given.
const (
	SessionStoreKey    Label = "hopseal/1 session store key\x00"
	SessionStoreName   Label = "hopseal/1 session store name\x00"
	SessionStoreRecord Label = "hopseal/1 session store record\x00"
	SessionStoreHead   Label = "hopseal/1 session store head\x00"
	SessionStorePart   Label = "hopseal/1 session store part\x00"
)

// Labels of the npm package, whose JavaScript repeats them.
const (
	PageStore    Label = "hopseal/1 page store\x00"
	PageSessions Label = "hopseal/1 page sessions\x00"
)

// All returns every label, for the test that holds them against each other.
func All() []Label {
	return []Label{
		Fingerprint, SigningKeyID, SealingKeyID, SharedKeyID, Identity, IdentityFile,
		Succession, Voucher, SafetyNumber, StoreControl,
		DiagnoseBinding, TicketKey,
		EnvelopeBody, EnvelopeBodyKey, EnvelopeContentID, EnvelopeHeader, EnvelopeRecipient,
		EnvelopeDigest, EnvelopeProof, EnvelopeProofKeyed, EnvelopeReplay,
		StreamHeader, StreamKey, StreamSegment, StreamOpeningDigest, StreamOpening, StreamOpeningKeyed,
		StreamFinalDigest, StreamFinal, StreamFinalKeyed,
		SessionPrologue, SessionPSK, SessionTranscript, SessionServerAuth, SessionClientAuth, SessionAccept,
		SessionServerSign, SessionClientSign, SessionClientKey, SessionServerKey,
		SessionNextKey, SessionID, SessionRecord, SessionSigned, SessionHop, SessionLogID,
		ResumeSecret, ResumeNext, ResumeID, ResumePSK, ResumeClientHello, ResumeServerHello,
		ResumeClientKey, ResumeServerKey, ResumeLinkID, ResumeRefusal, ResumeRefusalSign,
		RekeySecret, ResumeRekey, RekeyKEM, RekeyClientKey, RekeyServerKey, RekeyLinkID, RekeyNext, RekeyResume,
		SessionStoreKey, SessionStoreName, SessionStoreRecord, SessionStoreHead, SessionStorePart,
		PageStore, PageSessions,
	}
}
