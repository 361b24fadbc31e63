/* HTTP through libcurl: one easy handle, used for one request after the other.
 *
 * The handle keeps the connection open between requests, so sending a large file pays for one
 * handshake. All options are set anew each time; nothing of a request stays for the next one.
 *
 * Deliberately missing: redirects (an API address that moved should be corrected), cookies, and
 * repetition, which is the caller's to decide.
 */
#include "cli/client.h"

#include <curl/curl.h>

#include "common/error.h"

#define CLIENT_CONNECT_MS 5000  /* a host that does not answer in that time is away */
#define CLIENT_TIMEOUT_MS 60000 /* for the whole exchange, unless the request says so */

struct client {
    CURL *curl;
    char *base_url;                /* without a slash at its end */
    char message[CURL_ERROR_SIZE]; /* libcurl's words about the last failure, or "" */
};

/* By name only, nothing is looked up. host may be NULL. */
static bool client_is_loopback(const char *host)
{
    return g_strcmp0(host, "localhost") == 0 || g_strcmp0(host, "::1") == 0 ||
           (host != NULL && g_str_has_prefix(host, "127."));
}

/* Never NULL: without memory for the handle the program ends. libcurl counts its global set-ups, so
 * each client may make one and take it back. */
static CURL *client_open_handle(const char *host)
{
    CURL *curl;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl = curl_easy_init();
    if (curl == NULL)
        g_error("cannot set up the HTTP client: out of memory");
    /* A proxy from the environment is for the world outside, not for this machine. */
    if (client_is_loopback(host))
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    return curl;
}

/* Checked here, before any file is read, so that a mistyped address is a usage error and not a
 * failure of the first request. A query could not stand in front of our paths. */
struct client *client_new(const char *base_url, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autoptr(GUri) uri = g_uri_parse(base_url, G_URI_FLAGS_NONE, &reason);
    const char *scheme = uri != NULL ? g_uri_get_scheme(uri) : "";
    const char *host = uri != NULL ? g_uri_get_host(uri) : NULL;
    struct client *c;
    size_t size = strlen(base_url);

    /* g_uri_parse accepts many a thing that is no server: a scheme and a host are the least. */
    if ((!g_str_equal(scheme, "http") && !g_str_equal(scheme, "https")) || host == NULL ||
        host[0] == '\0' || g_uri_get_query(uri) != NULL) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                    "'%s' is no address of a server; valid is http://HOST:PORT", base_url);
        return NULL;
    }
    /* Paths begin with a slash of their own. */
    while (size > 0 && base_url[size - 1] == '/')
        size--;
    c = g_new0(struct client, 1);
    c->base_url = g_strndup(base_url, size);
    c->curl = client_open_handle(host);
    return c;
}

/* Closes the connection. */
void client_free(struct client *c)
{
    if (c == NULL)
        return;
    curl_easy_cleanup(c->curl);
    curl_global_cleanup();
    g_free(c->base_url);
    g_free(c);
}

/* For libcurl: takes a piece of the answer. The limit keeps a wrong address (a download, an endless
 * stream) from filling the memory. */
static size_t client_take_body(char *data, size_t size, size_t count, void *user)
{
    GString *body = user;

    if (size * count > CLIENT_ANSWER_MAX - body->len)
        return 0; /* makes libcurl give up */
    g_string_append_len(body, data, (gssize)(size * count));
    return size * count;
}

/* The header lines of one request. libcurl copies the texts. Owned by caller. */
static struct curl_slist *client_headers(const struct client_request *request)
{
    /* No waiting for "100 Continue": our bodies are small enough to be sent at once. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    g_autofree char *type = NULL;

    list = curl_slist_append(list, "Accept: application/json");
    if (request->content_type != NULL)
        type = g_strconcat("Content-Type: ", request->content_type, NULL);
    /* Nothing behind the colon: else libcurl calls whatever is posted a form. */
    list = curl_slist_append(list, type != NULL ? type : "Content-Type:");
    for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL; i++)
        list = curl_slist_append(list, request->headers[i]);
    return list;
}

/* Everything libcurl must know of one request. url, headers, body and the request's own bytes are
 * borrowed until the exchange is over. */
static void client_set_options(struct client *c, const struct client_request *request,
                               const char *url, struct curl_slist *headers, GString *body)
{
    int64_t timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : CLIENT_TIMEOUT_MS;

    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    /* Not file: or ftp:, whatever the address says. */
    curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "eventflow/" EVENTFLOW_VERSION);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CLIENT_CONNECT_MS);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    /* Timeouts without SIGALRM. */
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->message);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, client_take_body);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, body);
    /* First the shape of the request (with or without a body), then the name of its method. */
    if (g_str_equal(request->method, "GET")) {
        curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
    } else {
        curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS,
                         request->body.data != NULL ? request->body.data : "");
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    }
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, request->method);
}

/* Trouble that is the same at the next try; all other codes are the net's and may pass. WRITE_ERROR
 * is our own refusal of an answer that is too large. */
static bool client_is_lasting(CURLcode code)
{
    return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
           code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_WRITE_ERROR;
}

/* What the caller needs beside the body. A Retry-After of 0 cannot be told from none, so both are
 * -1: then the caller's own pause applies. */
static void client_take_answer(struct client *c, struct client_response *response)
{
    struct curl_header *etag;
    long status = 0;
    curl_off_t retry_after_s = 0;

    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    response->status = (int)status;
    response->retry_after_ms = retry_after_s > 0 ? retry_after_s * 1000 : -1;
    if (curl_easy_header(c->curl, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK)
        response->etag = g_strdup(etag->value);
}

/* The body is built beside the response, which stays untouched unless the exchange succeeds. The
 * message names the server, not the path: that is the caller's to add. */
bool client_send(struct client *c, const struct client_request *request,
                 struct client_response *response, GError **error)
{
    g_autofree char *url = g_strconcat(c->base_url, request->path, NULL);
    g_autoptr(GString) body = g_string_new(NULL);
    struct curl_slist *headers = client_headers(request);
    CURLcode code;

    /* libcurl does not always write one: then its general text for the code is used. */
    c->message[0] = '\0';
    client_set_options(c, request, url, headers, body);
    code = curl_easy_perform(c->curl);
    curl_slist_free_all(headers);
    /* Any status is a success here. */
    if (code == CURLE_OK) {
        *response = (struct client_response){.body = g_steal_pointer(&body)};
        client_take_answer(c, response);
        return true;
    }
    g_set_error(error, EF_ERROR, client_is_lasting(code) ? EF_ERROR_INPUT : EF_ERROR_RETRY,
                "no answer from %s: %s", c->base_url,
                c->message[0] != '\0' ? c->message : curl_easy_strerror(code));
    return false;
}

/* Leaves it zeroed, so freeing twice does no harm. */
void client_response_done(struct client_response *response)
{
    if (response == NULL)
        return;
    if (response->body != NULL)
        g_string_free(response->body, TRUE);
    g_free(response->etag);
    *response = (struct client_response){0};
}

void client_append_escaped(GString *path, const char *text)
{
    g_string_append_uri_escaped(path, text, NULL, FALSE);
}

/* Names are ours and need no escaping; values are the user's. */
void client_append_query(GString *path, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    g_string_append_printf(path, "%c%s=", strchr(path->str, '?') == NULL ? '?' : '&', name);
    client_append_escaped(path, value);
}
