package awsapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxSkew is how far a request's date may lie from the server's.
const maxSkew = 5 * time.Minute

const (
	algorithm  = "AWS4-HMAC-SHA256"
	dateLayout = "20060102T150405Z"
)

// Credentials is the one key pair that a server accepts.
type Credentials struct {
	AccessKey, SecretKey string
	Region               string
}

// SignatureError says why a request's signature is not accepted, by the code
// that AWS answers.
type SignatureError struct {
	Code, Message string
}

func (e *SignatureError) Error() string { return e.Message }

// Signed reports whether the request claims an AWS signature.
func Signed(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), algorithm)
}

// Verify checks the request's AWS Signature Version 4 for a service: access
// key, credential scope, a date within 5 minutes of now, the body's hash and
// the signature itself. Only signatures in the Authorization header are known.
// It shares no code with the SDK's signer, so that each proves the other.
// A non-nil error is a *SignatureError.
func (c Credentials) Verify(r *http.Request, body []byte, service string, now time.Time) error {
	refuse := func(code, format string, args ...any) error {
		return &SignatureError{code, fmt.Sprintf(format, args...)}
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return refuse("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	fields, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return refuse("IncompleteSignatureException", "Authorization header requires the algorithm %s", algorithm)
	}
	var credential, signedHeaders, signature string
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			signedHeaders = value
		case "Signature":
			signature = value
		}
	}
	accessKey, scope, _ := strings.Cut(credential, "/")
	if scope == "" || signedHeaders == "" || signature == "" {
		return refuse("IncompleteSignatureException", "Authorization header requires Credential, SignedHeaders and Signature")
	}
	if accessKey != c.AccessKey {
		return refuse("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse(dateLayout, stamp)
	if err != nil {
		return refuse("IncompleteSignatureException", "Authorization header requires an X-Amz-Date of the form %s", dateLayout)
	}
	if skew := now.Sub(at); skew > maxSkew || skew < -maxSkew {
		return refuse("InvalidSignatureException", "Signature expired: %s is not within 5 minutes of %s", stamp, now.UTC().Format(dateLayout))
	}
	if want := stamp[:8] + "/" + c.Region + "/" + service + "/aws4_request"; scope != want {
		return refuse("InvalidSignatureException", "Credential should be scoped to %s, not %s", want, scope)
	}
	names := strings.Split(signedHeaders, ";")
	if !slices.Contains(names, "host") || !slices.Contains(names, "x-amz-date") {
		return refuse("InvalidSignatureException", "host and x-amz-date must be signed")
	}
	bodyHash := hexHash(body)
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && claimed != bodyHash {
		return refuse("InvalidSignatureException", "The x-amz-content-sha256 header does not match the body")
	}

	key := []byte("AWS4" + c.SecretKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = sign(key, part)
	}
	toSign := algorithm + "\n" + stamp + "\n" + scope + "\n" + hexHash([]byte(canonical(r, names, bodyHash)))
	given, err := hex.DecodeString(signature)
	if err != nil || !hmac.Equal(given, sign(key, toSign)) {
		return refuse("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
	}
	return nil
}

// canonical returns the request's canonical form: method, path, query, signed
// headers, their names and the hash of the body.
func canonical(r *http.Request, names []string, bodyHash string) string {
	var b strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b.WriteString(r.Method + "\n" + escape(path, "/") + "\n")

	var query []string
	for name, values := range r.URL.Query() {
		for _, v := range values {
			query = append(query, escape(name, "")+"="+escape(v, ""))
		}
	}
	slices.Sort(query)
	b.WriteString(strings.Join(query, "&") + "\n")

	for _, name := range names {
		values := r.Header.Values(name)
		switch {
		case name == "host":
			values = []string{r.Host}
		case name == "content-length" && len(values) == 0:
			values = []string{fmt.Sprint(r.ContentLength)}
		}
		b.WriteString(name + ":")
		for i, v := range values {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(strings.Join(strings.Fields(v), " "))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + bodyHash)
	return b.String()
}

// escape percent-encodes everything but RFC 3986's unreserved characters and
// those of keep.
func escape(s, keep string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; strings.IndexByte(unreserved, c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func sign(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

func hexHash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
