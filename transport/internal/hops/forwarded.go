//go:build !js

package hops

import (
	"net/http"
	"slices"
	"strings"
)

// parseForwarded reads the header Forwarded (RFC 7239, section 4). Several lines
// form one list. If any part is malformed, it refuses the whole header: a quotation mark
// that a client left open would swallow what honest hops added after it.
func parseForwarded(h http.Header) ([]step, error) {
	lines := h.Values("Forwarded")
	switch {
	case len(lines) == 0:
		return nil, nil
	case sizeOf(h, "Forwarded") > maxForwarded:
		return nil, ErrForwarded
	}
	rest := strings.Join(lines, ",")
	var steps []step
	for {
		s, after, ok := parseElement(rest)
		if !ok {
			return nil, ErrForwarded
		}
		steps = append(steps, s)
		if after == "" {
			return steps, nil
		}
		rest = after[1:] // skip the comma
	}
}

// parseElement reads pairs up to a comma. The comma stays in rest.
func parseElement(s string) (e step, rest string, ok bool) {
	var seen [3]bool
	for {
		name, value, after, ok := parsePair(strings.TrimLeft(s, " \t"))
		name = strings.ToLower(name)
		if at := slices.Index([]string{"for", "proto", "host"}, name); at >= 0 {
			ok, seen[at] = ok && !seen[at], true
		}
		if !ok {
			return e, "", false
		}
		switch name {
		case "for":
			e.from = Addr(value)
		case "proto":
			e.proto = value
		case "host":
			e.host = value
		}
		after = strings.TrimLeft(after, " \t")
		switch {
		case after == "" || after[0] == ',':
			return e, after, true
		case after[0] != ';':
			return e, "", false
		}
		s = after[1:]
	}
}

// parsePair reads token=value, where the value is a token or a quoted string.
func parsePair(s string) (name, value, rest string, ok bool) {
	name, rest = token(s)
	if name == "" || !strings.HasPrefix(rest, "=") {
		return "", "", "", false
	}
	if rest = rest[1:]; !strings.HasPrefix(rest, `"`) {
		value, rest = token(rest)
		return name, value, rest, value != ""
	}
	value, rest, ok = quoted(rest[1:])
	return name, value, rest, ok
}

// token splits a token (RFC 9110, section 5.6.2) off the start of s. It also accepts
// colons and brackets, because many hops write addresses without quotation marks.
func token(s string) (token, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~:[]", r)
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// quoted reads a quoted string whose opening quotation mark has been read.
func quoted(s string) (value, rest string, ok bool) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return out.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			out.WriteByte(s[i])
		case c == '\\':
			return "", "", false
		default:
			out.WriteByte(c)
		}
	}
	return "", "", false
}
