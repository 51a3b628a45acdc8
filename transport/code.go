package transport

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Code says why a connection ended. The numbers are those of RFC 6455, section 7.4, and of its
// registry (IANA, "WebSocket Close Code Number Registry"); 4000 to 4899 are free for applications.
type Code uint16

const (
	CodeNormal      Code = 1000 // the purpose of the connection is fulfilled
	CodeGoingAway   Code = 1001 // a server stops, or a user leaves the page
	CodeProtocol    Code = 1002 // the peer broke the protocol
	CodeUnsupported Code = 1003 // the peer sent a kind of message that is not accepted
	CodeNoStatus    Code = 1005 // the peer closed without a code; never sent
	CodeAbnormal    Code = 1006 // the connection ended without a close message; never sent
	CodePolicy      Code = 1008 // the peer broke a rule of the application
	CodeTooLarge    Code = 1009 // a message was above the limit
	CodeInternal    Code = 1011 // the side that closed failed
	CodeRestart     Code = 1012 // the server restarts
	CodeTryLater    Code = 1013 // the server is overloaded

	CodeUnauthorized Code = 3000 // the client's credential is missing or has expired: with another one it may come back
	CodeForbidden    Code = 3003 // the client is known, and may not do this
)

var codeTexts = map[Code]string{
	CodeNormal:      "normal closure",
	CodeGoingAway:   "going away",
	CodeProtocol:    "protocol error",
	CodeUnsupported: "unsupported message",
	CodeNoStatus:    "no code given",
	CodeAbnormal:    "connection lost",
	CodePolicy:      "policy violation",
	CodeTooLarge:    "message too large",
	CodeInternal:    "internal error",
	CodeRestart:     "the server restarts",
	CodeTryLater:    "try again later",

	CodeUnauthorized: "unauthorized",
	CodeForbidden:    "forbidden",
}

// String returns the code's number, and its meaning if it is known.
func (c Code) String() string {
	number := strconv.Itoa(int(c))
	if text, ok := codeTexts[c]; ok {
		return text + " (" + number + ")"
	}
	return "code " + number
}

// A page may close a WebSocket only with 1000 and 3000 to 4999. For any other code a page sends
// the code's distance from 1000, plus firstMapped. The receiving end, page or not, translates
// it back. Applications must not use 4901 to 4914.
const (
	firstMapped = 4900
	mappedCodes = 14
)

// fromPeer returns the code that a peer meant.
func fromPeer(code Code) Code {
	if code > firstMapped && code <= firstMapped+mappedCodes {
		return CodeNormal + code - firstMapped
	}
	return code
}

// maxReason is how long the reason in a close message may be, in bytes.
const maxReason = 123

// sendable returns code and reason in a form that a close message may carry.
func sendable(code Code, reason string) (Code, string) {
	if !code.onTheWire() {
		code = CodeInternal
	}
	reason = strings.ToValidUTF8(reason, "\ufffd")
	for len(reason) > maxReason {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return code, reason
}

// onTheWire reports whether a close message may carry the code (RFC 6455, section
// 7.4, and the registry).
func (c Code) onTheWire() bool {
	switch c {
	case 1004, CodeNoStatus, CodeAbnormal:
		return false
	}
	return c >= 1000 && c <= 1014 || c >= 3000 && c <= 4999
}

// AppendClose appends the body of a close message to b: two bytes of code, the most significant
// first, and the reason (RFC 6455, section 5.5.1), at most 125 bytes. It changes code and reason
// where [Conn] says so. It is for packages that make a Conn of something else.
func AppendClose(b []byte, code Code, reason string) []byte {
	code, reason = sendable(code, reason)
	return append(append(b, byte(code>>8), byte(code)), reason...)
}

// ParseClose returns the body of a close message as the error that ends the connection. An empty
// body means [CodeNoStatus]. It is not ok if a peer may not send that body.
func ParseClose(body []byte) (closed *CloseError, ok bool) {
	if len(body) == 0 {
		return &CloseError{Code: CodeNoStatus, Remote: true}, true
	}
	if len(body) < 2 || len(body) > 2+maxReason || !utf8.Valid(body[2:]) {
		return nil, false
	}
	code := Code(body[0])<<8 | Code(body[1])
	return PeerClosed(fromPeer(code), string(body[2:])), code.onTheWire()
}
