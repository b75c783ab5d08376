"""Makes docs/demo.png: the demo after some purchases, with two devices."""

from demo.browser import HERE, chromium, running_demo


def main() -> None:
    """Runs the demo, uses it, and takes the picture."""
    with running_demo() as url, chromium() as browser:
        other = browser.new_context(user_agent="Firefox on Android").new_page()
        other.goto(url)
        other.click("#PHP >> text=Log in as Anna")
        other.wait_for_selector("text=This browser")
        page = browser.new_context(
            viewport={"width": 1040, "height": 560}, device_scale_factor=1.5, user_agent="Chromium on Linux"
        ).new_page()
        page.goto(url)
        for count, platform in enumerate(("Flask", "Express", "PHP"), start=1):
            page.click(f"#{platform} >> text=Add to cart")
            page.wait_for_selector(f"#PHP >> text={count} in the cart")
        page.click("#Express >> text=Log in as Anna")
        page.wait_for_selector("text=Another device")
        page.click("text=Send 25 writes at once")
        page.wait_for_selector("text=of 25 are in the cart")
        page.mouse.move(0, 0)
        page.screenshot(path=HERE.parent / "docs" / "demo.png", full_page=True)


if __name__ == "__main__":
    main()
