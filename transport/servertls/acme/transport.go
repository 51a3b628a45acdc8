//go:build !js

package acme

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxAnswer bounds an answer of the authority, in bytes. Chains are the longest.
	maxAnswer = 1 << 20

	// maxPoll is the longest time between two requests for the state of an order.
	maxPoll = 15 * time.Second

	// maxRetryAfter bounds the wait that an authority may ask for.
	maxRetryAfter = 24 * time.Hour
)

// A boundedTransport bounds the size of answers and the wait between polls. Package acme of
// golang.org/x/crypto reads answers of any size, and waits as long as the authority says:
// some say a day for an order under way.
type boundedTransport struct{ http.RoundTripper }

// RoundTrip is described at http.RoundTripper.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = &boundedBody{answer.Body, maxAnswer}
	if answer.StatusCode < http.StatusMultipleChoices && parseRetryAfter(answer.Header) > maxPoll {
		answer.Header.Set("Retry-After", strconv.Itoa(int(maxPoll/time.Second)))
	}
	return answer, nil
}

// A boundedBody fails to read once the body is longer than maxAnswer.
type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// parseRetryAfter reads Retry-After (RFC 9110, section 10.2.3). It returns 0 if there is
// none.
func parseRetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter)
	}
	return 0
}
