/*
 * posts.c - posts: list, read, write, delete.
 */
#include "api/api.h"

#include <string.h>

#include "auth/token.h"
#include "decoy.h"
#include "host.h"
#include "http/field.h"
#include "http/json.h"
#include "http/reply.h"
#include "http/request.h"
#include "incident_impact.h"
#include "store/post.h"
#include "upstream.h"
#include "vitals.h"

#define LIMIT_DEFAULT 10
#define LIMIT_MAX 100

#define TITLE_MAX_CHARACTERS 255
#define CONTENT_MAX_BYTES 65535

/* Where a scenario leaves it to us. */
#define UPSTREAM_TIMEOUT_MS 3000

static json_t *post_json(const post_t *post, apr_pool_t *pool)
{
    json_t *value = json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o}",
        "id", (json_int_t)post->id,
        "user_id", (json_int_t)post->user_id,
        "title", json_text(post->title, pool),
        "content", json_text(post->content ? post->content : "", pool),
        "createdAt", json_time(post->created_at),
        "updatedAt", json_time(post->updated_at));

    if (post->was_read && post->author_id == 0) {
        json_object_set_new(value, "author", json_null());
    }
    else if (post->was_read) {
        json_object_set_new(value, "author", json_pack(
            "{s:I, s:o, s:o}",
            "id", (json_int_t)post->author_id,
            "email", json_text(post->author_email, pool),
            "name", json_text(post->author_name, pool)));
    }
    return value;
}

static const query_int_t query_limit = { "limit", 1, LIMIT_MAX };
static const query_int_t query_offset = { "offset", 0, APR_INT32_MAX };

/* GET /api/posts */
static int list_posts(call_t *call)
{
    apr_time_t start = vitals_now();
    apr_int64_t limit = LIMIT_DEFAULT, offset = 0;
    const char *problem;
    apr_array_header_t *posts;
    json_t *list;
    int i;

    if (request_query_int(&limit, &problem, &query_limit, call)
        || request_query_int(&offset, &problem, &query_offset, call)) {
        return reply_error(call, HTTP_BAD_REQUEST, problem);
    }
    if (post_list(&posts, call->db, limit, offset, call->pool)) {
        return reply_unavailable(call, "Failed to fetch posts");
    }
    list = json_array();
    for (i = 0; i < posts->nelts; i++) {
        json_array_append_new(list, post_json(
            &APR_ARRAY_IDX(posts, i, post_t), call->pool));
    }
    return reply_json(call, HTTP_OK, json_pack(
        "{s:o, s:i, s:o}", "posts", list, "count", posts->nelts,
        "queryTime", json_milliseconds(vitals_now() - start)));
}

/* GET /api/posts/{id} */
static int show_post(call_t *call)
{
    apr_int64_t id = request_id(call);
    post_t *post;
    apr_status_t rv = id
        ? post_find(&post, call->db, id, call->pool) : APR_NOTFOUND;

    if (rv == APR_NOTFOUND) {
        return reply_error(call, HTTP_NOT_FOUND, "Post not found");
    }
    if (rv != APR_SUCCESS) {        /* store/ knew the reason and logged it */
        return reply_unavailable(call, "Failed to fetch post");
    }
    return reply_json(call, HTTP_OK, post_json(post, call->pool));
}

/* Asks another service first, where one has to be asked.
 * @return APR_TIMEUP or what else kept it from answering (logged) */
static apr_status_t ask_upstream(call_t *call)
{
    incident_t *incident = incident_at(CHAOS_FAULT_CREATE);
    upstream_result_t result;
    apr_interval_time_t timeout;
    apr_status_t rv;

    if (incident == NULL) {
        return APR_SUCCESS;
    }
    incident_bite(incident);
    timeout = apr_time_from_msec(chaos_args_role(
        incident_args(incident, call->pool), CHAOS_ROLE_TIMEOUT_MS,
        UPSTREAM_TIMEOUT_MS));
    rv = upstream_call(&result, decoy_upstream(), timeout, call->pool);
    if (rv != APR_SUCCESS) {
        host_log_upstream(&result, decoy_upstream(), timeout);
    }
    return rv;
}

/* POST /api/posts */
static int create_post(call_t *call)
{
    field_t title = { .name = "title", .required = "Title is required",
                      .is_visible = 1,
                      .max_characters = TITLE_MAX_CHARACTERS };
    field_t content = { .name = "content", .max_bytes = CONTENT_MAX_BYTES };
    field_t *fields[] = { &title, &content, NULL };
    post_t post = { .user_id = call->member->id };
    const char *problems;
    json_t *body;
    apr_status_t rv;
    int answer;

    if (request_body(&body, &answer, call) != APR_SUCCESS) {
        return answer;
    }
    problems = field_read(fields, body, call->pool);
    if (problems != NULL) {
        return reply_error(call, HTTP_BAD_REQUEST, problems);
    }
    if (ask_upstream(call) != APR_SUCCESS) {
        return reply_error(call, HTTP_GATEWAY_TIME_OUT,
                           "Upstream service timed out");
    }
    post.title = title.value;
    post.content = content.value ? content.value : "";
    rv = post_create(&post, call->db, call->pool);
    if (rv == APR_NOTFOUND) {       /* the user was deleted meanwhile */
        return reply_challenge(call, "invalid_token", json_pack(
            "{s:s}", "error", "Invalid or expired token"));
    }
    if (rv == APR_EINVAL || rv == APR_ENAMETOOLONG) {
        return reply_misfit(call, "Title or content", rv);
    }
    if (rv != APR_SUCCESS) {
        return reply_unavailable(call, "Failed to create post");
    }
    return reply_json(call, HTTP_CREATED, post_json(&post, call->pool));
}

/* DELETE /api/posts/{id} */
static int delete_post(call_t *call)
{
    apr_int64_t id = request_id(call);
    apr_status_t rv = id
        ? post_delete(call->db, id, call->member->id, call->pool)
        : APR_NOTFOUND;

    if (rv == APR_NOTFOUND) {
        return reply_error(call, HTTP_NOT_FOUND, "Post not found");
    }
    if (rv == APR_EACCES) {
        return reply_error(call, HTTP_FORBIDDEN,
                           "Forbidden: You can only delete your own posts");
    }
    if (rv != APR_SUCCESS) {
        return reply_unavailable(call, "Failed to delete post");
    }
    return reply_json(call, HTTP_OK, json_pack(
        "{s:s}", "message", "Post deleted successfully"));
}

const route_t posts_routes[] = {
    { M_GET, "/api/posts", ROUTE_ANYONE, list_posts, 0 },
    { M_POST, "/api/posts", ROUTE_MEMBER, create_post, 0 },
    { M_GET, "/api/posts/:id", ROUTE_ANYONE, show_post, 0 },
    { M_DELETE, "/api/posts/:id", ROUTE_MEMBER, delete_post, 0 },
    ROUTE_END
};
