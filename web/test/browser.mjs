// browser.mjs - finds Debian's chromium and opens a page in it.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const executablePath = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find(existsSync);

export async function openBrowser() {
  if (!executablePath) throw new Error('no chromium: apt-get install chromium');
  const args = ['--disable-dev-shm-usage', '--disable-gpu'];
  // Chromium's own sandbox does not start as root.
  if (process.getuid() === 0) args.push('--no-sandbox');
  return chromium.launch({ executablePath, args });
}

// A page whose errors and requests to other machines are collected in page.problems.
export async function openPage(browser, url, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 }, ...options });
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource|ERR_|CORS/.test(message.text()))
      page.problems.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    if (!/^(http:\/\/127\.0\.0\.1:|data:)/.test(request.url()))
      page.problems.push(`foreign request: ${request.url()}`);
  });
  await page.goto(url);
  return page;
}
