package core

import (
	"github.com/hopseal/hopseal/transport/relay/frame"
)

// relayJoin: topic text, name text, presence bytes → frame bytes.
func (c *Core) relayJoin(r *request, out []byte) ([]byte, error) {
	f := frame.Join{Topic: r.text(), Name: r.text(), Presence: r.bytes()}
	if err := r.done(); err != nil {
		return nil, err
	}
	if code := f.Check(); code != 0 {
		return nil, refusal(code)
	}
	return appendFrame(out, f)
}

// relayLeave: topic text → frame bytes.
func (c *Core) relayLeave(r *request, out []byte) ([]byte, error) {
	f := frame.Leave{Topic: r.text()}
	if err := r.done(); err != nil {
		return nil, err
	}
	return appendFrame(out, f)
}

// relayPublish: topic text, payload bytes → frame bytes.
func (c *Core) relayPublish(r *request, out []byte) ([]byte, error) {
	f := frame.Publish{Topic: r.text(), Payload: r.bytes()}
	if err := r.done(); err != nil {
		return nil, err
	}
	return appendFrame(out, f)
}

func appendFrame(out []byte, f frame.Request) ([]byte, error) {
	return appendWith(out, func(dst []byte) ([]byte, error) { return f.Append(dst), nil })
}

// relayEvent: frame bytes → kind text, topic text, and
//
//	"joined"   own id bytes, and of every member id bytes, name text, presence bytes
//	"refused"  code text, message text
//	"entered"  id bytes, name text, presence bytes
//	"left"     id bytes
//	"message"  id bytes, payload bytes
//	"direct"   nothing: what a member sends to another alone is for sessions, which a page does not have
func (c *Core) relayEvent(r *request, out []byte) ([]byte, error) {
	b := r.bytes()
	if err := r.done(); err != nil {
		return nil, err
	}
	event, err := frame.ParseEvent(b)
	if err != nil {
		return nil, &Error{Code: "relay-protocol", Message: "the relay sent something that is not a frame"}
	}
	return appendEvent(out, event), nil
}

func appendEvent(out []byte, event frame.Event) []byte {
	switch e := event.(type) {
	case frame.Joined:
		out = appendText(appendText(out, "joined"), e.Topic)
		out = appendBytes(out, e.ID[:])
		for _, m := range e.Members {
			out = appendMember(out, m)
		}
	case frame.Refused:
		refused := refusal(e.Code)
		out = appendText(appendText(out, "refused"), e.Topic)
		out = appendText(appendText(out, refused.Code), refused.Message)
	case frame.Entered:
		out = appendMember(appendText(appendText(out, "entered"), e.Topic), e.Member)
	case frame.Left:
		out = appendBytes(appendText(appendText(out, "left"), e.Topic), e.ID[:])
	case frame.Message:
		out = appendBytes(appendText(appendText(out, "message"), e.Topic), e.From[:])
		out = appendBytes(out, e.Payload)
	case frame.Direct:
		out = appendText(appendText(out, "direct"), e.Topic)
	}
	return out
}

func appendMember(out []byte, m frame.Member) []byte {
	return appendBytes(appendText(appendBytes(out, m.ID[:]), m.Name), m.Presence)
}

// refusal is a relay's refusal as an error. Codes that JavaScript has no name for
// come as "relay-refused"; the message tells them apart.
func refusal(code frame.Code) *Error {
	names := map[frame.Code]string{
		frame.NameTaken: "relay-name-taken",
		frame.TopicFull: "relay-full",
		frame.TooLarge:  "relay-too-large",
		frame.BadName:   "relay-bad-name",
		frame.BadTopic:  "relay-bad-topic",
	}
	name, ok := names[code]
	if !ok {
		name = "relay-refused"
	}
	return &Error{Code: name, Message: "relay: " + code.String()}
}
