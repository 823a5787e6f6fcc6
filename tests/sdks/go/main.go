// The Go SDK's MediaStore client against a running origin: one line per check, and their number at the end.
//
// ENDPOINT, ACCESS_KEY_ID, SECRET_ACCESS_KEY; SIGNED is 1 where the origin knows these keys, 0 where it lets everybody write.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/mediastoredata"
)

var checks = 0

func check(name string, holds bool, seen ...any) {
	if !holds {
		fmt.Println("FAILED", name, seen)
		os.Exit(1)
	}
	checks++
	fmt.Println("ok", name)
}

func client(secret string) *mediastoredata.MediaStoreData {
	config := aws.Config{
		Endpoint:    aws.String(os.Getenv("ENDPOINT")),
		Region:      aws.String("eu-west-1"),
		MaxRetries:  aws.Int(0),
		Credentials: credentials.NewStaticCredentials(os.Getenv("ACCESS_KEY_ID"), secret, ""),
	}
	return mediastoredata.New(session.Must(session.NewSession(&config)))
}

// The code and the status of an error.
func failure(err error) (string, int) {
	if failed, is := err.(awserr.RequestFailure); is {
		return failed.Code(), failed.StatusCode()
	}
	return fmt.Sprint(err), 0
}

func put(store *mediastoredata.MediaStoreData, path, body string) (*mediastoredata.PutObjectOutput, error) {
	return store.PutObject(&mediastoredata.PutObjectInput{Path: &path, Body: strings.NewReader(body)})
}

func get(store *mediastoredata.MediaStoreData, path string) string {
	got, err := store.GetObject(&mediastoredata.GetObjectInput{Path: &path})
	if err != nil {
		return err.Error()
	}
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func objects(store *mediastoredata.MediaStoreData) {
	path, none := "live/a.ts", "live/none.ts"
	stored, err := put(store, path, "abc")
	check("MS-01 PutObject", err == nil, err)
	check("MS-01 digest and class", *stored.ContentSHA256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" && *stored.StorageClass == "TEMPORAL", stored)
	check("MS-02 body", get(store, path) == "abc")
	part, err := store.GetObject(&mediastoredata.GetObjectInput{Path: &path, Range: aws.String("bytes=0-1")})
	check("MS-04 range", err == nil && *part.ContentRange == "bytes 0-1/3", err)
	_, err = store.GetObject(&mediastoredata.GetObjectInput{Path: &path, Range: aws.String("bytes=99-")})
	code, status := failure(err)
	check("MS-06 typed 416", code == mediastoredata.ErrCodeRequestedRangeNotSatisfiableException && status == 416, code, status)
	_, err = store.GetObject(&mediastoredata.GetObjectInput{Path: &none})
	code, status = failure(err)
	check("MS-07 typed 404", code == mediastoredata.ErrCodeObjectNotFoundException && status == 404, code, status)
	head, err := store.DescribeObject(&mediastoredata.DescribeObjectInput{Path: &path})
	check("MS-08 DescribeObject", err == nil && *head.ContentLength == 3 && *head.ETag == *stored.ETag, head, err)
	_, err = store.DescribeObject(&mediastoredata.DescribeObjectInput{Path: &none})
	_, status = failure(err)
	check("MS-09 404 of a HEAD", status == 404, err)
	_, err = store.DeleteObject(&mediastoredata.DeleteObjectInput{Path: &path})
	check("MS-10 DeleteObject", err == nil, err)
	_, err = store.DeleteObject(&mediastoredata.DeleteObjectInput{Path: &path})
	code, _ = failure(err)
	check("MS-11 twice is 404", code == mediastoredata.ErrCodeObjectNotFoundException, code)
	for _, path := range []string{"live/a b=c:d.ts", "/live/slash.ts", "live/é~!.ts"} {
		_, err = put(store, path, path)
		check("MS-23 "+path, err == nil && get(store, path) == path, err)
	}
}

func listing(store *mediastoredata.MediaStoreData) {
	for number := range 25 {
		_, err := put(store, fmt.Sprintf("list/%02d.ts", number), "x")
		check("PutObject", err == nil, err)
	}
	names := []string{}
	input := mediastoredata.ListItemsInput{Path: aws.String("list"), MaxResults: aws.Int64(10)}
	err := store.ListItemsPages(&input, func(page *mediastoredata.ListItemsOutput, _ bool) bool {
		for _, item := range page.Items {
			check("MS-13 item", *item.Type == "OBJECT" && time.Since(*item.LastModified) < time.Hour, item)
			names = append(names, *item.Name)
		}
		return true
	})
	check("MS-14 each name once", err == nil && len(names) == 25 && names[0] == "00.ts" && names[24] == "24.ts", names, err)
}

func access() {
	_, err := put(client("wrong"), "live/x.ts", "x")
	code, status := failure(err)
	check("MS-27 wrong secret", code == "InvalidSignatureException" && status == 403, code, status)
}

func main() {
	store := client(os.Getenv("SECRET_ACCESS_KEY"))
	objects(store)
	listing(store)
	if os.Getenv("SIGNED") == "1" {
		access()
	}
	fmt.Println(checks, "checks passed")
}
