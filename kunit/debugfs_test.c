// SPDX-License-Identifier: GPL-2.0
/* An instance's directory in debugfs, as a person would use it. */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/mman.h>

#include "mm_helpers.h"

#define PAGES	8

struct dir {
	struct mm_dev *dev;
	struct vfsmount *mnt;
	char path[96];
};

static void dir_open(struct kunit *test, struct dir *dir, bool shared)
{
	struct smmu_inval_config cfg = mm_dev_config();
	struct mm_struct *mm = mm_attach(test);
	unsigned long base;

	cfg.shared_stats = shared;
	base = mm_map(test, NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS);
	mm_touch(test, base, PAGES * PAGE_SIZE);
	dir->dev = mm_dev_new(test, TEST_SPINLOCK, &mm_dev_ops, &cfg, base,
			      PAGES);
	mm_dev_bind(dir->dev, MM_MN, mm);
	dir->mnt = mm_mount(test, "debugfs");
}

static const char *dir_path(struct dir *dir, const char *name)
{
	const struct dentry *of = dir->dev->si.dir;

	snprintf(dir->path, sizeof(dir->path), "smmu_inval/%s/%s",
		 of ? (const char *)of->d_name.name : "shared", name);
	return dir->path;
}

static long dir_write(struct kunit *test, struct dir *dir, const char *text)
{
	return mm_write_file(dir->mnt, dir_path(dir, "coarse"),
			     mm_scratch(test, text, strlen(text)),
			     strlen(text));
}

/* The text of a file, for the test's life. */
static char *dir_read(struct kunit *test, struct dir *dir, const char *name)
{
	char *text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	void __user *user;
	struct file *file;
	loff_t pos = 0;
	ssize_t len;

	KUNIT_ASSERT_NOT_NULL(test, text);
	user = mm_scratch(test, text, PAGE_SIZE);
	file = file_open_root_mnt(dir->mnt, dir_path(dir, name), O_RDONLY, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s", dir->path);
	len = vfs_read(file, user, PAGE_SIZE - 1, &pos);
	filp_close(file, NULL);
	KUNIT_ASSERT_GT(test, len, (ssize_t)0);
	KUNIT_ASSERT_EQ(test, copy_from_user(text, user, len), 0);
	return text;
}

/* What the file says of an event or a counter: the n-th number behind it. */
static unsigned long long number(struct kunit *test, const char *text,
				 const char *name, unsigned int n)
{
	unsigned long long value = 0;
	const char *line;
	int used;

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, strlen(name)) &&
		    line[strlen(name)] == ' ')
			break;
	}
	KUNIT_ASSERT_NOT_NULL_MSG(test, line, "%s", name);
	for (line += strlen(name); n; n--, line += used)
		KUNIT_ASSERT_EQ_MSG(test, sscanf(line, "%llu%n", &value, &used),
				    1, "%s", name);
	return value;
}

/* The file says what the getter says. */
static void debugfs_stats(struct kunit *test)
{
	struct dir dir;
	char *text;

	dir_open(test, &dir, false);
	mm_dev_populate(dir.dev, true);
	KUNIT_ASSERT_EQ(test, vm_munmap(dir.dev->base, 2 * PAGE_SIZE), 0);
	text = dir_read(test, &dir, "stats");
	KUNIT_EXPECT_EQ(test, number(test, text, "UNMAP", 1),
			mm_dev_event(dir.dev, UNMAP, callbacks));
	KUNIT_EXPECT_EQ(test, number(test, text, "UNMAP", 3), 2ULL);
	KUNIT_EXPECT_EQ(test, number(test, text, "UNMAP", 6), 2ULL);
	KUNIT_EXPECT_EQ(test, number(test, text, "flushes", 1),
			mm_dev_counter(dir.dev, flushes));
	KUNIT_EXPECT_EQ(test, number(test, text, "pending", 1), 0ULL);
	KUNIT_EXPECT_EQ(test, number(test, text, "dead", 1), 0ULL);
	KUNIT_EXPECT_EQ(test, number(test, text, "misused", 1), 0ULL);
}

/*
 * Those that share counters share a file, too, with nothing in it that only one
 * of them has.
 */
static void debugfs_shared(struct kunit *test)
{
	struct dir dir;
	char *text;

	dir_open(test, &dir, true);
	mm_dev_populate(dir.dev, true);
	text = dir_read(test, &dir, "stats");
	KUNIT_EXPECT_EQ(test, number(test, text, "UNMAP", 1),
			mm_dev_event(dir.dev, UNMAP, callbacks));
	KUNIT_EXPECT_NULL(test, strstr(text, "\npending "));
}

/* The switch switches, and takes nothing but 0 and 1. */
static void debugfs_coarse(struct kunit *test)
{
	struct dir dir;

	dir_open(test, &dir, false);
	KUNIT_EXPECT_STREQ(test, dir_read(test, &dir, "coarse"), "0\n");
	KUNIT_EXPECT_EQ(test, dir_write(test, &dir, "1"), 0);
	KUNIT_EXPECT_TRUE(test, dir.dev->si.coarse);
	KUNIT_EXPECT_STREQ(test, dir_read(test, &dir, "coarse"), "1\n");
	KUNIT_EXPECT_EQ(test, dir_write(test, &dir, "2"), -EINVAL);
	KUNIT_EXPECT_EQ(test, dir_write(test, &dir, "coarse"), -EINVAL);
	KUNIT_EXPECT_TRUE(test, dir.dev->si.coarse);
	KUNIT_EXPECT_EQ(test, dir_write(test, &dir, "0"), 0);
	KUNIT_EXPECT_FALSE(test, dir.dev->si.coarse);
}

static struct kunit_case debugfs_cases[] = {
	KUNIT_CASE(debugfs_stats),
	KUNIT_CASE(debugfs_shared),
	KUNIT_CASE(debugfs_coarse),
	{}
};

static struct kunit_suite debugfs_suite = {
	.name = "smmu_inval_debugfs",
	.test_cases = debugfs_cases,
};

kunit_test_suite(debugfs_suite);
