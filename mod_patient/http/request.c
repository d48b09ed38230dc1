/*
 * request.c - what a request brings: body, bearer token, query.
 */
#include "http/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "http/json.h"
#include "http/reply.h"
#include "http/urlencoded.h"

#define READ_BYTES 16384

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* Of a body that is too large, so much is read and thrown away to keep the
 * connection; one that is larger still ends it. */
#define DRAIN_BYTES APR_INT64_C(4194304)

/* As much is thrown away where the answer would not arrive otherwise. */
#define DISCARD_BYTES APR_INT64_C(67108864)

typedef struct buffer_t {
    char *bytes;
    apr_size_t len;
    apr_size_t size;
    apr_size_t seen;            /* bytes that came, kept or not */
} buffer_t;

static void append(buffer_t *buffer, const char *bytes, apr_size_t len,
                   apr_pool_t *pool)
{
    if (buffer->len + len > buffer->size) {
        apr_size_t size = 2 * (buffer->len + len);
        char *larger = apr_palloc(pool, size);

        if (buffer->bytes != NULL) {
            memcpy(larger, buffer->bytes, buffer->len);
        }
        buffer->bytes = larger;
        buffer->size = size;
    }
    if (len > 0) {
        memcpy(buffer->bytes + buffer->len, bytes, len);
        buffer->len += len;
    }
}

/* Takes what a brigade holds, and keeps it up to limit.
 * @return APR_EOF after the body's end; APR_ENOSPC: more is not read */
static apr_status_t take(buffer_t *buffer, apr_bucket_brigade *brigade,
                         apr_int64_t limit, apr_pool_t *pool)
{
    apr_bucket *bucket;

    for (bucket = APR_BRIGADE_FIRST(brigade);
         bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *bytes;
        apr_size_t len;
        apr_status_t rv;

        if (APR_BUCKET_IS_EOS(bucket)) {
            return APR_EOF;
        }
        if (APR_BUCKET_IS_METADATA(bucket)) {
            continue;
        }
        rv = apr_bucket_read(bucket, &bytes, &len, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        buffer->seen += len;
        if ((apr_int64_t)buffer->seen > DRAIN_BYTES) {
            return APR_ENOSPC;
        }
        if (buffer->seen <= (apr_size_t)limit) {
            append(buffer, bytes, len, pool);
        }
    }
    return APR_SUCCESS;
}

static apr_status_t read_all(buffer_t *buffer, call_t *call)
{
    request_rec *r = call->r;
    apr_bucket_brigade *brigade = apr_brigade_create(
        r->pool, r->connection->bucket_alloc);
    apr_status_t rv;

    do {
        rv = ap_get_brigade(r->input_filters, brigade, AP_MODE_READBYTES,
                            APR_BLOCK_READ, READ_BYTES);
        if (rv == APR_SUCCESS) {
            rv = take(buffer, brigade, call->conf->max_body, r->pool);
        }
        apr_brigade_cleanup(brigade);
    } while (rv == APR_SUCCESS);
    if (rv == APR_EOF) {
        call->has_read_all = 1;
        rv = buffer->seen > (apr_size_t)call->conf->max_body ? APR_ENOSPC
                                                             : APR_SUCCESS;
    }
    return rv;
}

/* To httpd a HEAD has none, and what its sender sent as one would be taken for
 * the next request. */
int request_has_body(request_rec *r)
{
    int header_only = r->header_only;
    int has_body;

    r->header_only = 0;
    has_body = ap_request_has_body(r);
    r->header_only = header_only;
    return has_body;
}

/* Of the connection, which is the stream: past HTTP's own filter, which lets
 * nothing more through once LimitRequestBody is passed. */
void request_discard(request_rec *r)
{
    apr_bucket_brigade *brigade;
    apr_off_t seen = 0, len = 0;
    int is_end = 0;

    if (!request_has_body(r)) {
        return;
    }
    brigade = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    while (!is_end && seen <= DISCARD_BYTES
           && ap_get_brigade(r->connection->input_filters, brigade,
                             AP_MODE_READBYTES, APR_BLOCK_READ, READ_BYTES)
              == APR_SUCCESS
           && apr_brigade_length(brigade, 1, &len) == APR_SUCCESS) {
        seen += len;
        is_end = APR_BRIGADE_EMPTY(brigade)
            || APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(brigade));
        apr_brigade_cleanup(brigade);
    }
    apr_brigade_destroy(brigade);
}

static apr_status_t refuse_large(int *answer, call_t *call)
{
    *answer = reply_error(call, HTTP_REQUEST_ENTITY_TOO_LARGE, apr_psprintf(
        call->pool, "The body is larger than %" APR_INT64_T_FMT " bytes",
        call->conf->max_body));
    return APR_EINVAL;
}

/* Whether a Content-Type, parameters aside, is the given one. */
static int is_type(const char *header, const char *type)
{
    apr_size_t len = strlen(type);

    return strncasecmp(header, type, len) == 0
        && (header[len] == '\0' || strchr("; \t", header[len]));
}

/* Whether a list of codings has another than the one that changes nothing. */
static int is_coded(const char *list, const char *plain, apr_pool_t *pool)
{
    const char *coding;

    while (*(coding = ap_get_token(pool, &list, 0)) != '\0'
           || *list == ',') {
        if (*coding != '\0' && strcasecmp(coding, plain) != 0) {
            return 1;
        }
        list += *list == ',';
    }
    return 0;
}

apr_status_t request_check_encoding(int *answer, call_t *call)
{
    const char *content = apr_table_get(call->r->headers_in,
                                        "Content-Encoding");
    const char *transfer = apr_table_get(call->r->headers_in,
                                         "Transfer-Encoding");
    const char *problem;

    if (call->has_read_all) {
        return APR_SUCCESS;
    }
    if (content && is_coded(content, "identity", call->pool)) {
        problem = apr_pstrcat(call->pool, "The body must have no "
                              "Content-Encoding, and has ", content, NULL);
        apr_table_setn(call->r->err_headers_out, "Accept-Encoding",
                       "identity");
    }
    else if (transfer && is_coded(transfer, "chunked", call->pool)) {
        problem = apr_pstrcat(call->pool, "The body must have no "
                              "Transfer-Encoding but chunked, and has ",
                              transfer, NULL);
    }
    else {
        return APR_SUCCESS;
    }
    *answer = reply_error(call, HTTP_UNSUPPORTED_MEDIA_TYPE, problem);
    return APR_EINVAL;
}

/* Passes over the byte order mark that some editors write before UTF-8, as the
 * original did before forms, too. */
static void skip_mark(buffer_t *buffer)
{
    if (buffer->len >= sizeof(BYTE_ORDER_MARK) - 1
        && memcmp(buffer->bytes, BYTE_ORDER_MARK,
                  sizeof(BYTE_ORDER_MARK) - 1) == 0) {
        buffer->bytes += sizeof(BYTE_ORDER_MARK) - 1;
        buffer->len -= sizeof(BYTE_ORDER_MARK) - 1;
    }
}

apr_status_t request_body(json_t **body, int *answer, call_t *call)
{
    const char *type = apr_table_get(call->r->headers_in, "Content-Type");
    const char *length = apr_table_get(call->r->headers_in, "Content-Length");
    buffer_t buffer = { NULL, 0, 0, 0 };
    const char *problem;
    apr_status_t rv;
    int is_form;

    if (length && apr_atoi64(length) > call->conf->max_body
        && (call->r->expecting_100 || apr_atoi64(length) > DRAIN_BYTES)) {
        return refuse_large(answer, call);
    }
    is_form = type && is_type(type, "application/x-www-form-urlencoded");
    if (type && !is_form && !is_type(type, "application/json")) {
        *answer = reply_error(call, HTTP_UNSUPPORTED_MEDIA_TYPE,
                              "The body must be application/json");
        return APR_EINVAL;
    }
    rv = read_all(&buffer, call);
    if (rv == APR_ENOSPC) {
        return refuse_large(answer, call);
    }
    if (rv != APR_SUCCESS) {
        /* The filter may have answered already (bad chunk): pass it on. */
        *answer = ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
        return APR_EINVAL;
    }
    skip_mark(&buffer);
    if (buffer.len == 0) {
        *body = json_keep(json_object(), call->pool);
        return APR_SUCCESS;
    }
    if (type == NULL) {
        *answer = reply_error(call, HTTP_UNSUPPORTED_MEDIA_TYPE,
                              "Content-Type is missing: the body must be "
                              "application/json");
        return APR_EINVAL;
    }
    *body = is_form
        ? json_read_form(buffer.bytes, buffer.len, &problem, call->pool)
        : json_read_object(buffer.bytes, buffer.len, &problem, call->pool);
    if (*body == NULL) {
        *answer = reply_error(call, HTTP_BAD_REQUEST, problem);
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}

const char *request_bearer(const call_t *call)
{
    const char *header = apr_table_get(call->r->headers_in, "Authorization");

    if (header == NULL || strncasecmp(header, "Bearer", 6) != 0
        || !apr_isspace(header[6])) {
        return NULL;
    }
    header += 6;
    while (apr_isspace(*header)) {
        header++;
    }
    return *header ? header : NULL;
}

/* A decimal number without sign or blanks, from min to max. */
static apr_status_t parse_int(apr_int64_t *value, const char *text,
                              apr_int64_t min, apr_int64_t max)
{
    apr_int64_t n;
    char *end;

    errno = 0;
    n = apr_strtoi64(text, &end, 10);
    if (errno || *end || !apr_isdigit(*text) || n < min || n > max) {
        return APR_EINVAL;
    }
    *value = n;
    return APR_SUCCESS;
}

apr_status_t request_query_int(apr_int64_t *value, const char **problem,
                               const query_int_t *wanted, const call_t *call)
{
    const char *query = call->r->args ? call->r->args : "";
    urlencoded_t pair = { .text = query, .len = strlen(query) };
    const char *wrong = NULL, *text = NULL;
    int times = 0;
    apr_status_t rv;

    while ((rv = urlencoded_next(&pair, &wrong, call->pool)) == APR_SUCCESS) {
        if (strcmp(pair.key, wanted->name) == 0) {
            text = pair.value;
            times++;
        }
    }
    if (rv != APR_EOF) {
        *problem = apr_pstrcat(call->pool, "Malformed query: ", wrong, NULL);
        return APR_EINVAL;
    }
    if (times == 0 || (times == 1 && parse_int(value, text, wanted->min,
                                               wanted->max) == APR_SUCCESS)) {
        return APR_SUCCESS;
    }
    *problem = apr_psprintf(call->pool, "%s must be a number from %"
                            APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                            wanted->name, wanted->min, wanted->max);
    return APR_EINVAL;
}

apr_int64_t request_id(const call_t *call)
{
    apr_int64_t id = 0;

    if (call->segment != NULL) {
        parse_int(&id, call->segment, 1, APR_INT64_MAX);
    }
    return id;
}

/* r->uri and r->parsed_uri are decoded in place. */
const char *request_path(const request_rec *r)
{
    const char *target = r->unparsed_uri;
    apr_uri_t uri;

    /* mod_http2 prints a path that was too long for it like this. */
    if (target == NULL || strcmp(target, "(null)") == 0) {
        return "";
    }
    return r->method_number != M_CONNECT
        && apr_uri_parse(r->pool, target, &uri) == APR_SUCCESS && uri.path
        ? uri.path : target;
}
