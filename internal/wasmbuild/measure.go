package wasmbuild

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"

	"github.com/andybalholm/brotli"
)

// Sizes of a file in bytes, as it is and as a server sends it compressed.
type Sizes struct{ Raw, Gzip, Brotli int }

func (s Sizes) String() string {
	return fmt.Sprintf("raw %d, gzip %d, brotli %d bytes", s.Raw, s.Gzip, s.Brotli)
}

// Measure compresses a file at the best quality, which takes several seconds for
// core.wasm.
func Measure(path string) (Sizes, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Sizes{}, err
	}
	var zipped, brotlied counter
	zip, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return Sizes{}, err
	}
	br := brotli.NewWriterOptions(&brotlied, brotli.WriterOptions{Quality: brotli.BestCompression, LGWin: 24})
	for _, w := range []io.WriteCloser{zip, br} {
		if _, err := w.Write(b); err != nil {
			return Sizes{}, err
		}
		if err := w.Close(); err != nil {
			return Sizes{}, err
		}
	}
	return Sizes{len(b), int(zipped), int(brotlied)}, nil
}

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
