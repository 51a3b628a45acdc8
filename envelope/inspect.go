package envelope

import "github.com/hopseal/hopseal/keys"

// An Inspection is what anybody on the way can see of an envelope. None of it is
// authenticated.
type Inspection struct {
	Header     Header
	Recipients []keys.SealingKeyID // none in the shared suites
	Parts      []Part              // in order, covering the whole envelope
}

// A Part is a run of bytes of an envelope.
type Part struct {
	Name   string // "framing", "header", "recipients", "body" or "proof"
	Offset int    // from the envelope's first byte
	Size   int    // in bytes
}

// Inspect takes an envelope apart without any key, for debugging and for showing
// what a hop sees. It accepts what is well formed, forged or not; its errors
// match [ErrOpen].
func Inspect(sealed []byte) (Inspection, error) {
	h, p, err := parse(sealed, "", "")
	if err != nil {
		return Inspection{}, err
	}
	in := Inspection{Header: h, Parts: p.layout()}
	if p.recipients == nil {
		return in, nil
	}
	if !eachRecipient(p.recipients, func(id keys.SealingKeyID, _ []byte) {
		in.Recipients = append(in.Recipients, id)
	}) {
		return Inspection{}, fail(ReasonMalformed)
	}
	return in, nil
}

// layout names every run of bytes: the parts, and the framing before each, whose
// size follows from the size of the part.
func (p parts) layout() []Part {
	named := []struct {
		name string
		b    []byte
	}{{"header", p.header}, {"recipients", p.recipients}, {"body", p.body}, {"proof", p.proof}}
	var out []Part
	at := 0
	add := func(name string, size int) {
		if size > 0 {
			out = append(out, Part{name, at, size})
			at += size
		}
	}
	framing := 2 // array(5), version
	for _, n := range named {
		if n.b == nil {
			framing++ // nil
			continue
		}
		add("framing", framing+binHeadSize(len(n.b)))
		add(n.name, len(n.b))
		framing = 0
	}
	return out
}

func binHeadSize(n int) int {
	switch {
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	}
	return 5
}
