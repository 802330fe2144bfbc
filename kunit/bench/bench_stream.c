// SPDX-License-Identifier: GPL-2.0
/*
 * A recorded stream of invalidations, written to debugfs line by line:
 *
 *	b ID			an invalidation begins
 *	a ID START LAST		it covers [START, LAST], in bytes, hexadecimal
 *	e ID			it ends
 *	c START LAST		a lock section changed that
 *	f			and flushed what it changed
 *
 * scripts/streams makes them of what the tracepoints said. A line may come in
 * several writes; a file offset of 0 begins a new stream.
 */
#include <linux/debugfs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "bench.h"

#define MAX_EVENTS	(256 * 1024)
#define MAX_WRITE	(64 * 1024)
#define MAX_LINE	80

struct bench_event *bench_stream;
unsigned int bench_stream_len;

static int parse(const char *line, struct bench_event *event)
{
	char what, rest;
	int n;

	switch (*line) {
	case 'b':
		event->what = BENCH_BEGIN;
		n = sscanf(line, "%c %u %c", &what, &event->id, &rest);
		return n == 2 ? 0 : -EINVAL;
	case 'e':
		event->what = BENCH_END;
		n = sscanf(line, "%c %u %c", &what, &event->id, &rest);
		return n == 2 ? 0 : -EINVAL;
	case 'a':
		event->what = BENCH_ADD;
		n = sscanf(line, "%c %u %llx %llx %c", &what, &event->id,
			   &event->start, &event->last, &rest);
		return n == 4 && event->start <= event->last ? 0 : -EINVAL;
	case 'c':
		event->what = BENCH_CHANGE;
		n = sscanf(line, "%c %llx %llx %c", &what, &event->start,
			   &event->last, &rest);
		return n == 3 && event->start <= event->last ? 0 : -EINVAL;
	case 'f':
		event->what = BENCH_FLUSH;
		return line[1] ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int take_line(const char *line)
{
	int ret;

	if (bench_stream_len == MAX_EVENTS)
		return -ENOSPC;
	ret = parse(line, &bench_stream[bench_stream_len]);
	if (!ret)
		bench_stream_len++;
	return ret;
}

ssize_t bench_stream_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *pos)
{
	static char line[MAX_LINE];
	static unsigned int len;
	ssize_t ret = 0;
	size_t i;
	char *text;

	if (!bench_stream)
		bench_stream = kvcalloc(MAX_EVENTS, sizeof(*bench_stream),
					GFP_KERNEL);
	if (!bench_stream)
		return -ENOMEM;
	if (!*pos) {
		bench_stream_len = 0;
		len = 0;
	}
	count = min_t(size_t, count, MAX_WRITE);
	text = memdup_user_nul(buf, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	for (i = 0; i < count && !ret; i++) {
		if (text[i] != '\n') {
			line[len++] = text[i];
			if (len == sizeof(line))
				ret = -EINVAL;
			continue;
		}
		line[len] = '\0';
		len = 0;
		ret = take_line(line);
	}
	kfree(text);
	if (ret)
		return ret;
	*pos += count;
	return count;
}
